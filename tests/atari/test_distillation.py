"""Distillation: gradients of the paper's objective by plain double backward, lessons that no other run can change."""
import copy

import numpy as np
import pytest
import torch
from arcade import Rule, Tiny, recording, tiny

from sobolev_lib import StochasticSobolevLoss, value_and_projections
from sobolev_lib.atari import RecordedStates, Run, agreement, distill, distillation, input_gradient, logits_of
from sobolev_lib.atari.distillation import METHODS
from sobolev_lib.atari.policies import blocks

ACTIONS, LEVEL, WEIGHT = 4, 0.05, 5.0                     # of noise; of derivatives, so that they count


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    return recording(tmp_path_factory.mktemp("states"), [6] * 10)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Students are tiny here."""
    monkeypatch.setattr(distillation, "Student", Tiny)


@pytest.fixture
def plain_descent(monkeypatch):
    """SGD in place of Adam: then a step of size 1 is the gradient."""
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.SGD)


def vector(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def teach(runs, states, teacher=None, train=range(20), **kwargs):
    train = {seed: np.array(train) for seed in {run.seed for run in runs}} if not isinstance(train, dict) else train
    return distill(runs, teacher or tiny(ACTIONS, seed=9), states, train,
                   **{"steps": 1, "batch_size": 3, "progress": False} | kwargs)


def watch(monkeypatch, owner, name):
    """A list of (arguments, result) of every call of ``owner.name`` from now on."""
    original, calls = getattr(owner, name), []

    def watched(*args, **kwargs):
        result = original(*args, **kwargs)
        calls.append((args, result))
        return result

    monkeypatch.setattr(owner, name, watched)
    return calls


def watch_inputs(module, inputs=None):
    """A list of all that the module is asked, or a copy of it."""
    inputs = [] if inputs is None else inputs
    module.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].detach().clone()))
    return inputs


# --- the objective ----------------------------------------------------------------------------------------------

def objective(method, student, teacher, x, vectors, strength, divergence, squared):
    """Section 4.2 as printed: a divergence and the norm of a difference of gradients, state by state, v by v."""
    total = 0.0
    for i in range(len(x)):
        s = x[i:i + 1].clone().requires_grad_()
        log_pi, log_star = student(s).log_softmax(1)[0], teacher(s).log_softmax(1)[0]
        p, q = (log_pi, log_star) if divergence == "kl" else (log_star, log_pi)
        total = total + sum(p[a].exp() * (p[a] - q[a]) for a in range(ACTIONS))
        slope = lambda scalar: torch.autograd.grad(scalar, s, create_graph=True)[0].flatten()
        errors = []
        if method == "sobolev":
            errors = [slope(sum(log_pi[a] * v[i, a] for a in range(ACTIONS)))
                      - slope(sum(log_star[a] * v[i, a] for a in range(ACTIONS))) for v in vectors]
        if method == "jacobian":
            errors = [torch.cat([slope(log_pi[a]) - slope(log_star[a]) for a in range(ACTIONS)])]
        for error in errors:
            total = total + strength * (error @ error if squared else (error @ error).sqrt()) / len(errors)
    return total / len(x)


CASES = [("kl", 1, "kl", "norm"), ("noise", 1, "kl", "norm"), ("sobolev", 1, "kl", "norm"), ("sobolev", 3, "kl", "mse"),
         ("sobolev", 2, "kl_teacher_first", "norm"), ("jacobian", 1, "kl", "norm"), ("jacobian", 1, "kl", "mse"),
         ("kl", 1, "kl_teacher_first", "norm"), ("noise", 1, "kl_teacher_first", "norm")]


@pytest.mark.parametrize("vectorize", [False, True], ids=["one by one", "vectorized"])
@pytest.mark.parametrize("method, projections, divergence, derivative_loss", CASES)
def test_a_step_follows_the_gradient_of_the_papers_objective(states, plain_descent, monkeypatch, method, projections,
                                                             divergence, derivative_loss, vectorize):
    strength = LEVEL if method == "noise" else WEIGHT
    teacher, run = tiny(ACTIONS, seed=9), Run(method, lr=1.0, strength=strength, seed=5)
    draws, read = watch(monkeypatch, StochasticSobolevLoss, "draw"), watch(monkeypatch, RecordedStates, "__getitem__")
    asked = watch_inputs(teacher)
    student, = teach([run], states, teacher, projections=projections, divergence=divergence, vectorize=vectorize,
                     derivative_loss=derivative_loss)
    before = Tiny(ACTIONS, generator=seeded(5)).double()
    (_, batch), = read
    # the noise is what the teacher was shown beyond the batch; its size is checked elsewhere
    x = asked[-1].double() if method == "noise" else batch.double() / 255
    vectors = draws[0][1][0].double() if method == "sobolev" else None
    value = objective(method, before, copy.deepcopy(teacher).double(), x, vectors, strength, divergence,
                      derivative_loss == "mse")
    expected = torch.autograd.grad(value, list(before.parameters()), allow_unused=True, materialize_grads=True)
    expected = torch.cat([gradient.flatten() for gradient in expected])
    gradient = vector(before) - vector(student).double()
    assert expected.abs().max() > 1e-3
    assert (gradient - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("method", ["sobolev", "jacobian"])
def test_both_terms_of_the_objective_count(states, plain_descent, method):
    """So that the comparison above does not pass because one term drowns the other."""
    start = vector(Tiny(ACTIONS, generator=seeded(5)))
    weak, strong = [vector(s) for s in teach([Run(method, 1.0, s, seed=5) for s in (0.0, WEIGHT)], states)]
    assert 0.1 < (strong - weak).norm() / (weak - start).norm() < 10


def test_a_vector_along_the_policy_carries_no_signal():
    """sum_a pi_a grad log pi_a = grad sum_a pi_a = 0: why one projection in m is lost for a softmax."""
    policy, x = tiny(ACTIONS).double(), torch.rand(5, 4, 84, 84, dtype=torch.float64, generator=seeded(0))
    log_policy = lambda x: policy(x).log_softmax(1)
    along = log_policy(x).exp().detach().unsqueeze(0)
    across = torch.randn(1, 5, ACTIONS, dtype=torch.float64, generator=seeded(1))
    silent, loud = [value_and_projections(log_policy, x, [v])[1].abs().max() for v in (along, across)]
    assert silent < 1e-12 < 1e-4 < loud


def test_the_jacobian_that_a_student_is_given_is_the_teachers(states):
    teacher = tiny(ACTIONS, seed=9)
    lessons = distillation._Lessons(0, teacher, states, np.arange(20), 3, None, torch.device("cpu"),
                                    [Run("jacobian", lr=1.0)])
    lessons.next()
    x, values, jacobian = lessons.answer(Run("jacobian", lr=1.0))
    log_policy = lambda x: teacher(x.unsqueeze(0)).log_softmax(1)[0]
    torch.testing.assert_close(values, torch.stack([log_policy(row) for row in x]))
    torch.testing.assert_close(jacobian, torch.stack([torch.func.jacrev(log_policy)(row) for row in x]),
                               rtol=1e-4, atol=1e-6)
    assert not any(tensor.requires_grad for tensor in (x, values, jacobian))


def test_without_strength_all_methods_are_the_divergence_alone(states, plain_descent):
    students = teach([Run(method, lr=0.1) for method in METHODS], states, steps=4)
    for student in students[1:]:
        torch.testing.assert_close(vector(student), vector(students[0]), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(vector(students[0]), vector(Tiny(ACTIONS, generator=seeded(0))), atol=1e-4)


# --- noise ------------------------------------------------------------------------------------------------------

def test_teacher_and_student_meet_the_same_noisy_states(states, monkeypatch):
    teacher, shown = tiny(ACTIONS, seed=9), []

    def student(*args, **kwargs):
        made = Tiny(*args, **kwargs)
        watch_inputs(made, shown)
        return made

    monkeypatch.setattr(distillation, "Student", student)
    asked, read = watch_inputs(teacher), watch(monkeypatch, RecordedStates, "__getitem__")
    teach([Run("noise", lr=1e-3, strength=LEVEL)], states, teacher, steps=2)
    assert len(asked) == len(shown) == len(read) == 2
    noises = [noisy - blocks(batch) for noisy, (_, batch) in zip(asked, read)]
    for teachers_view, students_view, noise in zip(asked, shown, noises):
        assert torch.equal(teachers_view, students_view)
        assert noise.std().item() == pytest.approx(LEVEL, rel=0.02) and abs(noise.mean()) < 0.001
    assert not torch.allclose(noises[0], noises[1], atol=LEVEL / 10), "the noise must be fresh at every step"


def test_levels_of_noise_differ_in_nothing_but_size(states, monkeypatch):
    teacher = tiny(ACTIONS, seed=9)
    asked, read = watch_inputs(teacher), watch(monkeypatch, RecordedStates, "__getitem__")
    teach([Run("noise", lr=1e-3, strength=s) for s in (0.01, 0.04)], states, teacher)
    small, large = sorted([noisy - blocks(read[0][1]) for noisy in asked], key=torch.std)
    torch.testing.assert_close(4 * small, large, rtol=0, atol=1e-5)


# --- lessons ----------------------------------------------------------------------------------------------------

RUNS = [Run(method, lr=lr, strength=strength, seed=seed) for seed in (0, 1)
        for method, lr, strength in [("kl", 1e-2, 0.0), ("kl", 3e-2, 0.0), ("sobolev", 1e-2, 0.1), ("sobolev", 1e-2, 1.0),
                                     ("noise", 1e-2, 0.1), ("noise", 1e-2, 0.3), ("jacobian", 1e-2, 0.1)]]


def test_a_student_does_not_depend_on_who_learns_beside_it(states):
    together = teach(RUNS, states, steps=3)
    reversed_order = teach(RUNS[::-1], states, steps=3)[::-1]
    for run, student, other in zip(RUNS, together, reversed_order):
        alone, = teach([run], states, steps=3)
        assert torch.equal(vector(alone), vector(student)) and torch.equal(vector(student), vector(other)), run
    assert len({tuple(vector(student).tolist()) for student in together}) == len(RUNS), "two runs are the same run"


def test_vectorized_training_gives_the_same_students(states):
    plain, vectorized = teach(RUNS, states, steps=3, vectorize=False), teach(RUNS, states, steps=3, vectorize=True)
    for run, a, b in zip(RUNS, plain, vectorized):
        assert (vector(a) - vector(b)).abs().max() < 1e-3 * (vector(a) - vector(
            Tiny(ACTIONS, generator=seeded(run.seed)))).abs().max(), run


def test_on_a_processor_students_are_trained_one_by_one(states, monkeypatch):
    def fail(*_):
        raise AssertionError("vectorized")

    monkeypatch.setattr(distillation, "_vectorized_gradients", fail)
    teach([Run("kl", lr=1e-3)], states)
    with pytest.raises(AssertionError, match="vectorized"):
        teach([Run("kl", lr=1e-3)], states, vectorize=True)


def test_a_run_repeats_and_leaves_the_global_random_state_alone(states):
    state = torch.get_rng_state()
    first, second = teach(RUNS, states), teach(RUNS, states)
    assert all(torch.equal(vector(a), vector(b)) for a, b in zip(first, second))
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_come_from_the_training_states_and_are_shared_by_a_seeds_runs(states, monkeypatch):
    train = {0: np.arange(0, 20), 1: np.arange(30, 50)}
    read = watch(monkeypatch, RecordedStates, "__getitem__")
    teach(RUNS, states, train=train, steps=30)
    indices = [np.asarray(arguments[1]) for arguments, _ in read]
    assert len(indices) == 2 * 30, "one batch a step and seed, whatever the number of runs"
    for seed, own in train.items():
        batches = [batch for batch in indices if set(batch.tolist()) <= set(own.tolist())]
        assert len(batches) == 30 and all(batch.shape == (3,) for batch in batches)
        assert len({batch.tobytes() for batch in batches}) > 25, "batches must be fresh at every step"
        assert len(set(np.concatenate(batches).tolist())) > 17, "of 20 states, 90 draws miss less than one"


def test_another_seed_draws_other_batches_vectors_and_noise(states, monkeypatch):
    teacher = tiny(ACTIONS, seed=9)
    draws, read = watch(monkeypatch, StochasticSobolevLoss, "draw"), watch(monkeypatch, RecordedStates, "__getitem__")
    asked = watch_inputs(teacher)
    for seed in (0, 1):
        teach([Run("sobolev", 1e-3, 0.1, seed)], states, teacher, train=[4], batch_size=5)  # one state: only v differs
        teach([Run("noise", 1e-3, LEVEL, seed)], states, teacher, train=[4], batch_size=5)
        teach([Run("kl", 1e-3, 0.0, seed)], states, teacher, train=range(60), batch_size=5)
    vectors = [result[0] for _, result in draws]
    assert len(vectors) == 2 and not torch.isclose(*vectors).any()
    noisy = [x for x in asked if len(x) == 5 and x.unique().numel() > 5 * 256]  # with noise, no two pixels are alike
    assert len(noisy) == 2 and torch.isclose(*noisy).float().mean() < 0.01
    batches = [np.asarray(arguments[1]) for arguments, _ in read if len(set(np.asarray(arguments[1]).tolist())) > 1]
    assert len(batches) == 2 and not np.array_equal(*batches)


def test_the_teacher_is_asked_once_a_step_for_all_runs_of_a_seed(states):
    rows = {}
    for name, runs in {"one": [Run("kl", 1e-3)], "many": [Run("kl", lr) for lr in (1e-4, 1e-3, 1e-2)],
                       "sobolev": [Run("sobolev", 1e-3, 0.1)],
                       "both": [Run("kl", 1e-3), *[Run("sobolev", 1e-3, s) for s in (0.1, 1.0)]]}.items():
        teacher = tiny(ACTIONS, seed=9)
        asked = watch_inputs(teacher)
        teach(runs, states, teacher, batch_size=7)
        rows[name] = sum(len(x) for x in asked)
    assert rows["one"] == rows["many"] == 7
    assert rows["sobolev"] == rows["both"] <= 8, "one row more, to see how many outputs there are"


def test_the_teacher_is_left_as_it_was(states):
    teacher = tiny(ACTIONS, seed=9)
    before, strides = vector(teacher), [parameter.stride() for parameter in teacher.parameters()]
    teach(RUNS, states, teacher)
    assert torch.equal(vector(teacher), before)
    assert [parameter.stride() for parameter in teacher.parameters()] == strides
    assert all(parameter.grad is None and parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize("run", RUNS[0:7:2], ids=lambda run: run.method)
def test_students_come_closer_to_their_teacher(states, run):
    teacher, train = tiny(ACTIONS, seed=9), np.arange(20)
    untrained = Tiny(ACTIONS, generator=seeded(run.seed))
    student, = teach([Run(run.method, lr=1e-2, strength=0.02)], states, teacher, train=train, steps=60, batch_size=10)
    answers = logits_of(teacher, states, train)
    before, after = [agreement(policy, answers, states, train) for policy in (untrained, student)]
    assert after.kl < 0.5 * before.kl and after.kl_teacher_first < before.kl_teacher_first


def test_reports_come_after_the_steps_asked_for_and_in_the_order_of_the_runs(states):
    runs, reports = [Run("jacobian", 1e-2, 0.1), Run("kl", 1e-2), Run("kl", 1e-3)], []

    def on_report(step, students):
        reports.append((step, [vector(student) for student in students]))

    students = teach(runs, states, steps=4, report=[4, 2, 9], on_report=on_report)
    assert [step for step, _ in reports] == [2, 4]
    shorter = teach(runs, states, steps=2)
    for k in range(3):
        assert torch.equal(reports[0][1][k], vector(shorter[k])) and torch.equal(reports[1][1][k], vector(students[k]))
    # three learning rates, three distances from the common start
    start = vector(Tiny(ACTIONS, generator=seeded(0)))
    distance = [(vector(student) - start).abs().max().item() for student in students]
    assert distance[1] > 3 * distance[2] and distance[0] > 3 * distance[2]


# --- measuring --------------------------------------------------------------------------------------------------

def test_agreement_is_a_mean_over_states(states):
    student, indices = tiny(ACTIONS, seed=1), np.array([3, 50, 7, 8, 21, 59])
    theirs = logits_of(student, states, indices) + torch.randn(6, ACTIONS, generator=seeded(0))
    categorical = lambda logits: torch.distributions.Categorical(logits=logits.double())
    wrong, forward, backward = 0, 0.0, 0.0
    for row, index in zip(theirs, indices):
        ours = student(states[[index]])[0].detach()
        wrong += int(ours.argmax() != row.argmax())
        forward += torch.distributions.kl_divergence(categorical(ours), categorical(row)).item() / 6
        backward += torch.distributions.kl_divergence(categorical(row), categorical(ours)).item() / 6
    found = agreement(student, theirs, states, indices)
    assert 0 < wrong < 6 and found.action_error == pytest.approx(wrong / 6)
    assert found.kl == pytest.approx(forward, rel=1e-4) and found.kl_teacher_first == pytest.approx(backward, rel=1e-4)
    assert abs(forward - backward) > 1e-3
    own = agreement(student, logits_of(student, states, indices) + 5, states, indices)  # logits: up to a constant
    assert own.action_error == 0 and own.kl == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match=r"teacher_logits: expected one row a state, 6, got \(5, 4\)"):
        agreement(student, theirs[:5], states, indices)


def test_logits_come_in_the_order_of_the_indices_whatever_the_batch(states):
    policy, indices = tiny(ACTIONS), np.array([40, 2, 2, 17, 9, 55, 30])
    expected = torch.cat([policy(states[[index]]) for index in indices])
    for size in (1, 3, 500):
        found = logits_of(policy, states, indices, batch_size=size)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert not found.requires_grad
    rule = Rule(ACTIONS)
    logits_of(rule, states, np.arange(60), batch_size=25)
    assert max(len(x) for x in rule.seen) <= 25
    assert logits_of(policy, states, np.arange(0)).shape == (0, ACTIONS)


def test_the_input_gradient_is_the_slope_of_one_log_probability(states):
    policy = tiny(ACTIONS).double().requires_grad_(False)
    x = torch.rand(3, 4, 84, 84, dtype=torch.float64, generator=seeded(0))
    actions = torch.tensor([2, 0, 3])
    gradient = input_gradient(policy, x, actions)
    assert gradient.shape == x.shape
    for seed in range(3):
        direction, h = torch.randn(x.shape, dtype=torch.float64, generator=seeded(seed)), 1e-6
        ends = [policy(x + sign * h * direction).log_softmax(1)[torch.arange(3), actions] for sign in (1, -1)]
        slopes = (gradient * direction).flatten(1).sum(1)
        torch.testing.assert_close(slopes, (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-8)
    # per unit of brightness, black to white, in whichever form the pixels come
    policy, pixels = policy.float(), states[[1, 2, 3]]
    torch.testing.assert_close(input_gradient(policy, pixels, actions), input_gradient(policy, pixels / 255, actions))
