"""Distillation: gradients of the paper's objective by plain double backward, lessons that no other run can change."""
import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from arcade import Tiny, recording, tiny
from forks import fork, kill_at, run_code

from sobolev_lib import StochasticSobolevLoss, value_and_projections
from sobolev_lib.atari import Answers, Run, agreement, distill, distillation, logits_of
from sobolev_lib.atari.distillation import OBJECTIVES
from sobolev_lib.atari.students import WARM_UP

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


class Descent(torch.optim.Optimizer):
    def __init__(self, groups, lr, **_):
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * p.grad)


@pytest.fixture
def plain_descent(monkeypatch):
    """Gradient descent in place of Adam: then a step of size 1 is the gradient."""
    monkeypatch.setattr(torch.optim, "Adam", Descent)


def vector(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()]).cpu()


def teach(runs, states, teacher=None, train=range(20), *, jacobian=False, device="cpu", **kwargs):
    train = train if isinstance(train, dict) else {run.seed: train for run in runs}
    answers = {seed: Answers(teacher or tiny(ACTIONS, seed=9), states, np.array(rows), jacobian=jacobian, device=device)
               for seed, rows in train.items()}
    return distill(runs, answers, **{"steps": 1, "batch_size": 3, "progress": False} | kwargs)


def batches(asked):
    """Of the calls of ``Answers.inputs`` those for batches: an ``Answers`` first asks for all its rows."""
    return [(arguments[1].cpu(), x) for arguments, x in asked if len(arguments[1]) < len(arguments[0])]


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
@pytest.mark.parametrize("kept", [False, True], ids=["asked", "kept"])
@pytest.mark.parametrize("method, projections, divergence, derivative_loss", CASES)
def test_a_step_follows_the_gradient_of_the_papers_objective(states, plain_descent, monkeypatch, method, projections,
                                                             divergence, derivative_loss, kept, vectorize, device):
    strength = LEVEL if method == "noise" else WEIGHT
    teacher, run = tiny(ACTIONS, seed=9), Run(method, lr=1.0, strength=strength, seed=5)
    draws, read = watch(monkeypatch, StochasticSobolevLoss, "draw"), watch(monkeypatch, Answers, "inputs")
    asked = watch_inputs(teacher)
    student, = teach([run], states, teacher, projections=projections, divergence=divergence, vectorize=vectorize,
                     derivative_loss=derivative_loss, jacobian=kept, device=device)
    before = Tiny(ACTIONS, generator=seeded(5)).double()
    # the noise is what the teacher was shown beyond the batch; its size is checked elsewhere
    x = (asked[-1] if method == "noise" else batches(read)[0][1]).cpu().double()
    vectors = draws[0][1][0].cpu().double() if method == "sobolev" else None
    value = objective(method, before, copy.deepcopy(teacher).double(), x, vectors, strength, divergence,
                      derivative_loss == "mse")
    expected = torch.autograd.grad(value, list(before.parameters()), allow_unused=True, materialize_grads=True)
    expected = torch.cat([gradient.flatten() for gradient in expected])
    gradient = vector(before) - vector(student).double()
    assert expected.abs().max() > 1e-3
    # a kept Jacobian is rounded to float16
    rounding = 2e-3 if kept and method in ("sobolev", "jacobian") else 1e-4
    assert (gradient - expected).abs().max() < rounding * expected.abs().max()


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


def test_without_strength_all_methods_are_the_divergence_alone(states, plain_descent, device):
    students = teach([Run(method, lr=0.1) for method in OBJECTIVES], states, steps=2 * WARM_UP, device=device)
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
    asked, read = watch_inputs(teacher), watch(monkeypatch, Answers, "inputs")
    teach([Run("noise", lr=1e-3, strength=LEVEL)], states, teacher, steps=2)
    del asked[0]                                           # all training states, when the answers were made
    assert len(asked) == len(shown) == len(batches(read)) == 2
    noises = [noisy - batch for noisy, (_, batch) in zip(asked, batches(read))]
    for teachers_view, students_view, noise in zip(asked, shown, noises):
        assert torch.equal(teachers_view, students_view)
        assert noise.std().item() == pytest.approx(LEVEL, rel=0.02) and abs(noise.mean()) < 0.001
    assert not torch.allclose(noises[0], noises[1], atol=LEVEL / 10), "the noise must be fresh at every step"


def test_levels_of_noise_differ_in_nothing_but_size(states, monkeypatch):
    teacher = tiny(ACTIONS, seed=9)
    asked, read = watch_inputs(teacher), watch(monkeypatch, Answers, "inputs")
    teach([Run("noise", lr=1e-3, strength=s) for s in (0.01, 0.04)], states, teacher)
    (_, batch), = batches(read)
    small, large = sorted([noisy - batch for noisy in asked[1:]], key=torch.std)
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


@pytest.mark.parametrize("clip", [pytest.param(None, marks=pytest.mark.slow), 0.5])
def test_vectorized_training_gives_the_same_students(states, clip, device):
    """On a GPU too, where all steps but the first few are a CUDA graph's."""
    plain = teach(RUNS, states, steps=3 * WARM_UP, clip=clip, vectorize=False)
    vectorized = teach(RUNS, states, steps=3 * WARM_UP, clip=clip, vectorize=True, device=device)
    for run, a, b in zip(RUNS, plain, vectorized):
        assert (vector(a) - vector(b)).abs().max() < 1e-3 * (vector(a) - vector(
            Tiny(ACTIONS, generator=seeded(run.seed)))).abs().max(), run


def test_on_a_processor_students_are_trained_one_by_one(states, monkeypatch):
    def fail(*_):
        raise AssertionError("vectorized")

    monkeypatch.setattr(distillation, "_together", fail)
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
    read = watch(monkeypatch, Answers, "inputs")
    teach([run for run in RUNS if run.strength in (0.0, 0.1)], states, train=train, steps=30, jacobian=True)
    indices = [arguments[0].indices[arguments[1].numpy()] for arguments, _ in read if len(arguments[1]) == 3]
    assert len(indices) == 2 * 30, "one batch a step and seed, whatever the number of runs"
    for own in train.values():
        batches = [batch for batch in indices if set(batch.tolist()) <= set(own.tolist())]
        assert len(batches) == 30 and all(batch.shape == (3,) for batch in batches)
        assert len({batch.tobytes() for batch in batches}) > 25, "batches must be fresh at every step"
        assert len(set(np.concatenate(batches).tolist())) > 17, "of 20 states, 90 draws miss less than one"


def test_another_seed_draws_other_batches_vectors_and_noise(states, monkeypatch):
    draws, read = watch(monkeypatch, StochasticSobolevLoss, "draw"), watch(monkeypatch, Answers, "inputs")
    noise = watch(monkeypatch, Answers, "ask")
    for seed in (0, 1):
        teach([Run("sobolev", 1e-3, 0.1, seed), Run("noise", 1e-3, LEVEL, seed)], states, train=range(60), batch_size=5,
              jacobian=True)
    (one, _), (other, _) = batches(read)
    assert not torch.equal(one, other)
    vectors = [result[0] for _, result in draws]
    assert len(vectors) == 2 and not torch.isclose(*vectors).any()
    noisy = [arguments[1] for arguments, _ in noise if len(arguments[1]) == 5]
    noises = [shown - x for shown, (_, x) in zip(noisy, batches(read))]
    assert len(noises) == 2 and torch.isclose(*noises).float().mean() < 0.01


def test_with_kept_answers_the_teacher_is_asked_no_more(states):
    teacher = tiny(ACTIONS, seed=9)
    asked = watch_inputs(teacher)
    runs = [Run("kl", 1e-3), Run("sobolev", 1e-3, 0.1), Run("sobolev", 1e-3, 1.0), Run("jacobian", 1e-3, 0.1)]
    teach(runs, states, teacher, jacobian=True, steps=5)
    assert sum(len(x) for x in asked) == 2 * 20, "once for its policy, once for its Jacobian"
    asked.clear()
    teach(runs[:1], states, teacher, steps=5)
    assert sum(len(x) for x in asked) == 20


def test_the_teacher_is_left_as_it_was(states):
    teacher = tiny(ACTIONS, seed=9)
    before, strides = vector(teacher), [parameter.stride() for parameter in teacher.parameters()]
    teach(RUNS, states, teacher)
    assert torch.equal(vector(teacher), before)
    assert [parameter.stride() for parameter in teacher.parameters()] == strides
    assert all(parameter.grad is None and parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize("run", RUNS[0:7:2], ids=lambda run: run.method)
def test_students_come_closer_to_their_teacher(states, run, device):
    teacher, train = tiny(ACTIONS, seed=9), np.arange(20)
    untrained = Tiny(ACTIONS, generator=seeded(run.seed))
    student, = teach([Run(run.method, lr=1e-2, strength=0.02)], states, teacher, train=train, steps=60, batch_size=10,
                     device=device)
    answers = logits_of(teacher, states, train)
    before, after = [agreement(policy, answers, states, train) for policy in (untrained, student)]
    assert after.kl < 0.5 * before.kl and after.kl_teacher_first < before.kl_teacher_first


def test_reports_come_after_the_steps_asked_for_and_in_the_order_of_the_runs(states):
    runs, reports = [Run("jacobian", 1e-2, 0.1), Run("kl", 1e-2), Run("kl", 1e-3)], []

    def on_report(step, students):
        reports.append((step, [vector(student) for student in students]))

    students = teach(runs, states, steps=4, report=[4, 2, 9], on_report=on_report, decay=False)
    assert [step for step, _ in reports] == [2, 4]
    shorter = teach(runs, states, steps=2, decay=False)
    for k in range(3):
        assert torch.equal(reports[0][1][k], vector(shorter[k])) and torch.equal(reports[1][1][k], vector(students[k]))
    # three learning rates, three distances from the common start
    start = vector(Tiny(ACTIONS, generator=seeded(0)))
    distance = [(vector(student) - start).abs().max().item() for student in students]
    assert distance[1] > 3 * distance[2] and distance[0] > 3 * distance[2]


# --- the optimiser ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("warmup", [0, 4])
def test_steps_are_adams_with_a_rate_that_rises_and_falls_and_clipped_gradients(states, monkeypatch, clip, warmup, device):
    steps, run, teacher = 3 * WARM_UP, Run("kl", lr=1e-2), tiny(ACTIONS, seed=9)
    drawn = watch(monkeypatch, distillation._Lessons, "draw")                  # a GPU's graph reads without asking Python
    student, = teach([run], states, teacher, steps=steps, clip=clip, warmup=warmup, device=device)
    plain, clipped = Tiny(ACTIONS, generator=seeded(0)), []
    adam, known = torch.optim.Adam(plain.parameters()), Answers(teacher.cpu(), states, np.arange(20))
    assert len(drawn) == steps
    for step, (_, batch) in enumerate(drawn):
        ours, theirs = [policy(known.inputs(batch["rows"])).log_softmax(1) for policy in (plain, teacher)]
        adam.zero_grad()
        (ours.exp() * (ours - theirs.detach())).sum(1).mean().backward()
        norm = torch.cat([p.grad.flatten() for p in plain.parameters()]).norm()
        clipped.append(clip is not None and norm > clip)
        if clipped[-1]:
            for p in plain.parameters():
                p.grad *= clip / norm
        rising = min(1, (step + 1) / warmup) if warmup else 1
        adam.param_groups[0]["lr"] = 1e-2 * rising * (1 + np.cos(np.pi * step / steps)) / 2
        adam.step()
    assert all(clipped) == (clip is not None)
    moved = (vector(student) - vector(Tiny(ACTIONS, generator=seeded(0)))).abs().max()
    assert (vector(student) - vector(plain)).abs().max() < 1e-3 * moved


# --- going on ---------------------------------------------------------------------------------------------------

class Stop(Exception):
    pass


@pytest.mark.parametrize("vectorize", [pytest.param(False, marks=pytest.mark.slow), True], ids=["one by one", "vectorized"])
@pytest.mark.parametrize("at", [1, pytest.param(7, marks=pytest.mark.slow)])
def test_a_stopped_training_ends_bit_for_bit_where_an_uninterrupted_one_does(states, tmp_path, at, vectorize, device):
    settings = dict(steps=10, warmup=3, clip=1.0, report=[2, 6, 10], vectorize=vectorize, device=device)
    whole_reports, reports, reached = [], [], []
    whole = teach(RUNS, states, on_report=lambda step, students: whole_reports.append(step), **settings)

    def stop(step, steps):
        reached.append((step, steps))
        if step == at:
            raise Stop

    path = tmp_path / "run.safetensors"
    settings |= dict(checkpoint=path, checkpoint_seconds=0, on_checkpoint=stop,
                     on_report=lambda step, students: reports.append(step))
    with pytest.raises(Stop):
        teach(RUNS, states, **settings)
    resumed = teach(RUNS, states, **settings)
    assert [step for step, _ in reached] == list(range(1, 11)) and {steps for _, steps in reached} == {10}
    assert reports == whole_reports == [2, 6, 10]
    assert all(torch.equal(vector(a), vector(b)) for a, b in zip(whole, resumed))


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import test_distillation
from arcade import Tiny
from sobolev_lib.atari import RecordedStates
test_distillation.distillation.Student = Tiny

def wait_to_be_killed(step, steps):
    print(step, flush=True)
    if step == 6:
        time.sleep(250)

test_distillation.teach(test_distillation.RUNS, RecordedStates(sys.argv[1]), steps=9, jacobian=True, clip=1.0,
                        checkpoint=Path(sys.argv[2]), checkpoint_seconds=0, on_checkpoint=wait_to_be_killed)
"""


@pytest.mark.slow
def test_a_killed_process_loses_nothing(states, tmp_path):
    path, output = tmp_path / "run.safetensors", tmp_path / "output"
    kill_at(fork(run_code, KILLED, states.folder, path, Path(__file__).parent, output=output), 6, output)
    settings, reached = dict(steps=9, jacobian=True, clip=1.0), []
    resumed = teach(RUNS, states, checkpoint=path, checkpoint_seconds=0,
                    on_checkpoint=lambda step, _: reached.append(step), **settings)
    whole = teach(RUNS, states, **settings)
    assert reached == [7, 8, 9] and all(torch.equal(vector(a), vector(b)) for a, b in zip(resumed, whole))


@pytest.mark.slow
def test_a_checkpoint_goes_on_in_the_other_way_too(states, tmp_path, device):
    """What was begun one by one, as on a CPU, ends side by side, as on a GPU: the same to rounding."""
    def stop(step, steps):
        if step == 5:
            raise Stop

    path, settings = tmp_path / "run.safetensors", dict(steps=9, jacobian=True, clip=1.0, checkpoint_seconds=0)
    with pytest.raises(Stop):
        teach(RUNS, states, checkpoint=path, on_checkpoint=stop, vectorize=False, **settings)
    resumed = teach(RUNS, states, checkpoint=path, vectorize=True, device=device, **settings)
    for run, a, b in zip(RUNS, resumed, teach(RUNS, states, **settings)):
        moved = (vector(b) - vector(Tiny(ACTIONS, generator=seeded(run.seed)))).norm()
        assert (vector(a) - vector(b)).norm() < 2e-3 * moved, run


def test_without_haste_a_checkpoint_is_written_at_reports_and_at_the_end(states, tmp_path):
    reached = []
    teach(RUNS[:1], states, steps=6, report=[2, 6], on_report=lambda *_: None, checkpoint=tmp_path / "run.safetensors",
          on_checkpoint=lambda step, steps: reached.append(step))
    assert reached == [2, 6]


@pytest.mark.parametrize("other", [dict(steps=5), dict(batch_size=2), dict(clip=1.0), dict(train=range(19)),
                                   dict(jacobian=True), dict(teacher=tiny(ACTIONS, seed=3)), dict(runs=[Run("kl", lr=2e-2)])], ids=str)
def test_a_checkpoint_of_another_training_is_refused(states, tmp_path, other):
    settings = dict(runs=[Run("kl", lr=1e-2)], states=states, steps=4, checkpoint=tmp_path / "run.safetensors",
                    checkpoint_seconds=0)
    teach(**settings)
    teach(**settings)
    with pytest.raises(ValueError, match="belongs to another run"):
        teach(**settings | other)


@pytest.mark.parametrize("wrong, message", [
    (dict(divergence="js"), "divergence: expected one of kl, kl_teacher_first, got 'js'"),
    (dict(derivative_loss="l1"), "derivative_loss: expected one of norm, mse, got 'l1'"),
    (dict(train={1: range(20)}), r"answers: expected one for every seed of the runs, got none for \[0\]")])
def test_bad_settings(states, wrong, message):
    with pytest.raises(ValueError, match=message):
        teach([Run("kl", lr=1e-3)], states, **wrong)


def test_bad_runs():
    with pytest.raises(ValueError, match="method: expected one of kl, sobolev, noise, jacobian, got 'hints'"):
        Run("hints", lr=1e-3)
    with pytest.raises(ValueError, match="expected lr > 0"):
        Run("kl", lr=0.0)


@pytest.mark.parametrize("wrong, message", [
    (dict(steps=0), "steps: expected a positive integer, got 0"), (dict(batch_size=-1), "batch_size: expected a positive integer"),
    (dict(clip=-1.0), "clip: expected a positive number or None, got -1.0"), (dict(clip=math.nan), "clip: expected a positive"),
    (dict(warmup=-1), "warmup: expected an integer >= 0"), (dict(projections=0), "projections: expected an integer >= 1"),
    (dict(checkpoint_seconds=math.nan), "checkpoint_seconds: expected"),
    (dict(checkpoint="/proc/no/such/file"), "checkpoint: expected a file that can be written"),
])
def test_settings_out_of_range_are_refused(states, wrong, message):
    with pytest.raises(ValueError, match=message):
        teach(RUNS[:1], states, **wrong)
    for lr, strength in ((math.inf, 0.0), (1e-3, math.nan), (1e-3, math.inf)):
        with pytest.raises(ValueError, match="lr, strength: expected"):
            Run("kl", lr=lr, strength=strength)


def test_a_run_that_diverges_is_told_and_the_others_go_on(states):
    with pytest.warns(UserWarning, match=r"distill: the weights of \[Run\(method='kl', lr=1e\+30.*no longer finite"):
        lost, kept = teach([Run("kl", lr=1e30), RUNS[0]], states, steps=4)
    alone, = teach(RUNS[:1], states, steps=4)
    assert torch.equal(vector(alone), vector(kept)) and not vector(lost).isfinite().all()


def test_numpy_numbers_describe_the_same_run(states, tmp_path):
    run = Run("kl", lr=np.float32(0.5), strength=np.float64(0.5), seed=np.int64(0))
    assert run == Run("kl", lr=0.5, strength=0.5, seed=0)
    teach([run], states, steps=np.int64(2), checkpoint=tmp_path / "run.safetensors")
    teach([Run("kl", lr=0.5, strength=0.5)], states, steps=2, checkpoint=tmp_path / "run.safetensors")
