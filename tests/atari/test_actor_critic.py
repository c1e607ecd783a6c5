"""Training a teacher: advantages and PPO's update against plain loops, and runs that stop, resume and repeat."""
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from arcade import Alley, Tiny, count_games, tiny
from safetensors import safe_open
from torch import nn

from sobolev_lib.atari import Plan, actor_critic, rollout, train_teacher
from sobolev_lib.atari.actor_critic import ActorCritic
from sobolev_lib.atari.envs import Transition

PLAN = Plan("alley", steps=240, games=3, horizon=8, epochs=2, minibatch=12, lr=1e-3, final_lr=1e-4)


@pytest.fixture
def alley(monkeypatch):
    """Teachers are tiny and the game has no emulator; the list holds every set of games that was started."""
    monkeypatch.setattr(actor_critic, "Teacher", Tiny)
    return count_games(monkeypatch, actor_critic)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def train(plan=PLAN, **kwargs):
    return train_teacher(plan, progress=False, **kwargs)


class Left(Exception):
    pass


def leave(path, plan=PLAN):
    """Train until the first checkpoint, after one update; returns what was told of it."""
    def stop(*reached):
        raise Left(*reached)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actor_critic, "SAVED_EVERY", 0)
        with pytest.raises(Left) as left:
            train(plan, checkpoint=path, on_checkpoint=stop)
    return left.value.args


def vector(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


# --- collecting a batch -----------------------------------------------------------------------------------------

class Tape:
    """Plays back given rewards and ends, whatever is done; a state's pixels say which game and step it is."""

    num_actions = 3

    def __init__(self, rewards, ended, lives_lost):
        self.rewards, self.ended, self.lives_lost, self.count = rewards, ended, lives_lost, rewards.shape[1]
        self.played, self.t = [], 0

    def states(self):
        states = np.zeros((self.rewards.shape[1], 4, 84, 84), dtype=np.uint8)
        states[:, 0, 0, 0], states[:, 0, 0, 1] = self.t, np.arange(len(states))
        return states

    def step(self, actions):
        self.played.append(actions.copy())
        self.t += 1
        return Transition(self.states(), self.rewards[self.t - 1], self.ended[self.t - 1], self.lives_lost[self.t - 1])


def tape_and_network(horizon, games, seed=0, ends=0.3):
    rng = np.random.default_rng(seed)
    lost = rng.random((horizon, games)) < ends
    tape = Tape(rng.normal(0, 2, (horizon, games)), lost & (rng.random((horizon, games)) < 0.5), lost)
    logits = torch.randn(horizon + 1, games, 3, generator=seeded(seed))
    values = torch.randn(horizon + 1, games, generator=seeded(seed + 1))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.anchor = nn.Parameter(torch.zeros(1))     # says on which device the network is

        def forward(self, states):
            t, k = states[:, 0, 0, 0].long(), states[:, 0, 0, 1].long()
            return logits[t, k], values[t, k]

    return tape, Network(), logits, values


def collect(tape, network, horizon, games, generator=None, finished=None):
    plan = replace(PLAN, horizon=horizon, games=games, discount=0.9, trace=0.7)
    running, finished = np.zeros(games), [] if finished is None else finished
    batch, states = actor_critic._collect(network, tape, tape.states(), running, finished, plan,
                                          generator or seeded(0), "cpu")
    return [tensor.unflatten(0, (horizon, games)) for tensor in batch], states, running, finished


def advantage(rewards, values, lost, t, discount, trace):
    """Lambda-return less value, as textbooks write it: the n-step returns, each weighted; nothing after a lost life."""
    horizon = len(rewards)
    last = next((u for u in range(t, horizon) if lost[u]), horizon - 1)
    returns, gathered = [], 0.0
    for n in range(1, last - t + 2):
        gathered += discount**(n - 1) * rewards[t + n - 1]
        returns.append(gathered if lost[t + n - 1] else gathered + discount**n * values[t + n])
    weights = [(1 - trace) * trace**(n - 1) for n in range(1, len(returns))] + [trace**(len(returns) - 1)]
    return sum(w * g for w, g in zip(weights, returns)) - values[t]


@pytest.mark.parametrize("ends", [0.0, 0.3])
def test_advantages_are_lambda_returns_that_stop_at_lost_lives(ends):
    tape, network, _, values = tape_and_network(9, 4, ends=ends)
    (_, _, _, advantages, returns), _, _, _ = collect(tape, network, 9, 4)
    clipped = tape.rewards.clip(-1, 1)
    assert (np.abs(tape.rewards) > 1).any() and tape.lives_lost.any() == (ends > 0)
    for t in range(9):
        for k in range(4):
            expected = advantage(clipped[:, k], values[:, k].tolist(), tape.lives_lost[:, k], t, 0.9, 0.7)
            assert advantages[t, k].item() == pytest.approx(expected, abs=1e-5)
            assert returns[t, k].item() == pytest.approx(expected + values[t, k].item(), abs=1e-5)


def test_what_comes_after_a_lost_life_changes_no_advantage_before_it():
    results = []
    for later in (0.5, -0.5):
        tape, network, _, values = tape_and_network(6, 1, ends=0.0)
        tape.lives_lost[2], tape.rewards[3:] = True, later
        values[3:] += later
        results.append(collect(tape, network, 6, 1)[0][3][:, 0])
    assert torch.equal(results[0][:3], results[1][:3]) and (results[0][3:] != results[1][3:]).all()


def test_a_batch_holds_what_was_seen_and_done():
    tape, network, logits, _ = tape_and_network(30, 4)
    (states, actions, log_probs, _, _), after, _, _ = collect(tape, network, 30, 4)
    assert states.dtype == torch.uint8
    for t in range(30):
        assert (states[t, :, 0, 0, 0] == t).all() and (states[t, :, 0, 0, 1] == torch.arange(4)).all()
        assert np.array_equal(actions[t], tape.played[t])
        for k in range(4):
            exponentials = logits[t, k].double().exp()
            expected = (exponentials[actions[t, k]] / exponentials.sum()).log().item()
            assert log_probs[t, k].item() == pytest.approx(expected, abs=1e-5)
    assert (after[:, 0, 0, 0] == 30).all(), "the next batch must begin where this one stopped"
    assert set(actions.unique().tolist()) == {0, 1, 2}


def test_scores_are_unclipped_sums_over_whole_episodes():
    tape, network, _, _ = tape_and_network(20, 3)
    running, finished = np.zeros(3), []
    plan = replace(PLAN, horizon=10, games=3)
    states = tape.states()
    for _ in range(2):  # an episode may begin in one batch and end in the next
        _, states = actor_critic._collect(network, tape, states, running, finished, plan, seeded(0), "cpu")
    expected, sums = [], [0.0] * 3
    for t in range(20):
        for k in range(3):
            sums[k] += tape.rewards[t, k]
            if tape.ended[t, k]:
                expected.append(sums[k])
                sums[k] = 0.0
    assert len(expected) > 3 and finished == pytest.approx(expected) and running.tolist() == pytest.approx(sums)


# --- the update -------------------------------------------------------------------------------------------------

def batch_of(network, n, seed=0):
    """States, actions, the old policy's log probabilities (near the new one's, not equal), advantages, returns."""
    states = torch.randint(256, (n, 4, 84, 84), dtype=torch.uint8, generator=seeded(seed))
    actions = torch.randint(3, (n,), generator=seeded(seed))
    with torch.no_grad():
        log_pi = network(states)[0].log_softmax(1).gather(1, actions.unsqueeze(1)).squeeze(1)
    draw = lambda k: torch.randn(n, generator=seeded(seed + k))
    return [states, actions, log_pi + 0.2 * draw(1), 3 * draw(2) + 1, draw(3)]


def plain_loss(network, batch, plan):
    """PPO's objective with the sign of a loss, term by term and row by row."""
    states, actions, old, advantages, returns = batch
    mean, spread = advantages.mean().item(), advantages.std().item()
    total = 0.0
    for s, a, o, adv, ret in zip(states, actions, old, advantages, returns):
        features = network.policy.features(s.unsqueeze(0) / 255)
        pi, value = network.policy.head(features)[0].softmax(0), network.value(features)[0, 0]
        ratio, adv = pi[a] / o.exp(), (adv.item() - mean) / spread
        if adv > 0:
            gain = adv * (ratio if ratio < 1 + plan.clip else torch.tensor(1 + plan.clip))
        else:
            gain = adv * (ratio if ratio > 1 - plan.clip else torch.tensor(1 - plan.clip))
        entropy = -sum(p * p.log() for p in pi)
        total = total - gain - plan.entropy * entropy + plan.value_weight * (value - ret) ** 2
    return total / len(states)


def actor_and_critic(seed=0):
    network = ActorCritic(tiny(seed=seed))
    nn.init.normal_(network.value.weight, generator=seeded(seed))
    return network


@pytest.mark.parametrize("changes", [dict(), dict(entropy=2.0), dict(value_weight=0.0), dict(clip=0.3)], ids=str)
def test_one_update_follows_the_gradient_of_the_clipped_objective(changes):
    network = actor_and_critic()
    plan = replace(PLAN, games=4, horizon=6, epochs=1, minibatch=24, max_norm=1e9, **changes)
    batch = batch_of(network, 24)
    expected = torch.autograd.grad(plain_loss(network, batch, plan), list(network.parameters()), allow_unused=True,
                                   materialize_grads=True)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    with torch.no_grad():
        pi = network(batch[0])[0].softmax(1)
    entropy = actor_critic._update(network, torch.optim.SGD(network.parameters(), lr=1.0), batch, plan, plan.entropy, seeded(0))
    for parameter, old, gradient in zip(network.parameters(), before, expected):
        torch.testing.assert_close(old - parameter.detach(), gradient, rtol=1e-3, atol=1e-5)
    assert entropy == pytest.approx(torch.distributions.Categorical(pi).entropy().mean().item(), rel=1e-4)


def test_the_gradient_is_bounded():
    network = actor_and_critic()
    plan = replace(PLAN, games=4, horizon=6, epochs=1, minibatch=24, max_norm=0.01)
    before = vector(network)
    actor_critic._update(network, torch.optim.SGD(network.parameters(), lr=1.0), batch_of(network, 24), plan, plan.entropy, seeded(0))
    assert (vector(network) - before).norm() == pytest.approx(0.01, rel=1e-3)


def test_each_epoch_takes_every_row_once_and_in_a_new_order():
    plan = replace(PLAN, games=4, horizon=5, epochs=3, minibatch=8)
    network, seen = actor_and_critic(), []
    batch = batch_of(network, 20)
    batch[0][:, 0, 0, 0] = torch.arange(20, dtype=torch.uint8)
    network.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0][:, 0, 0, 0].tolist()))
    actor_critic._update(network, torch.optim.SGD(network.parameters(), lr=1e-3), batch, plan, plan.entropy, seeded(0))
    assert [len(rows) for rows in seen] == [8, 8, 4] * 3
    orders = [sum(seen[k:k + 3], []) for k in (0, 3, 6)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_both_heads_look_at_the_same_features():
    network = ActorCritic(tiny())
    states = torch.randint(256, (3, 4, 84, 84), dtype=torch.uint8, generator=seeded(0))
    logits, values = network(states)
    torch.testing.assert_close(logits, network.policy(states))
    assert values.shape == (3,) and not values.any(), "before training nothing is known of any state"
    network.value.weight.data.fill_(1.0)
    torch.testing.assert_close(network(states)[1], network.policy.features(states / 255).sum(1))


# --- whole runs -------------------------------------------------------------------------------------------------

def watch_updates(monkeypatch, stop_at=None):
    """Learning rates of the updates from now on; the one with number ``stop_at`` stops the run, as a kill would."""
    original, rates = actor_critic._update, []

    def update(network, optimizer, *arguments):
        if len(rates) == stop_at:
            raise KeyboardInterrupt
        rates.append(optimizer.param_groups[0]["lr"])
        return original(network, optimizer, *arguments)

    monkeypatch.setattr(actor_critic, "_update", update)
    return rates


@pytest.mark.slow
def test_a_run_learns_which_action_pays(alley):
    plan = Plan("alley", steps=3_200, games=8, horizon=16, epochs=4, minibatch=32, lr=3e-3, final_lr=1e-3)
    teacher, report = train(plan)
    # chance makes 0.3 points a step, an episode has 7.5 steps on average
    assert report.steps[-1] == 3_200 and report.scores[-1] > 10
    games = Alley("alley", 8, seed=99)
    states, right = games.reset(), []
    for _ in range(30):
        with torch.no_grad():
            actions = teacher(torch.from_numpy(states)).argmax(1).numpy()
        after = games.step(actions)
        states = after.states
        right.append(after.rewards > 0)
    assert np.mean(right) > 0.9


def test_a_run_repeats_and_its_seed_decides(alley):
    state = torch.get_rng_state()
    first, second = train(), train()
    assert torch.equal(vector(first[0]), vector(second[0]))
    assert first[1].steps == second[1].steps == [24, 240] and first[1].scores == second[1].scores
    assert not torch.equal(vector(train(replace(PLAN, seed=1))[0]), vector(first[0]))
    assert torch.equal(torch.get_rng_state(), state), "the global random state was touched"
    assert all(games.closed for games in alley) and [games.count for games in alley] == [3, 3, 3]


def test_the_learning_rate_falls_in_a_straight_line(alley, monkeypatch):
    rates = watch_updates(monkeypatch)
    train()
    assert rates == pytest.approx([1e-3 + (1e-4 - 1e-3) * k / 10 for k in range(10)])


def test_the_entropy_bonus_falls_in_a_straight_line_too(alley, monkeypatch):
    bonuses = []
    monkeypatch.setattr(actor_critic, "_update", lambda *arguments: bonuses.append(arguments[-2]) or 0.5)
    train(replace(PLAN, entropy=0.5, final_entropy=0.1))
    assert bonuses == pytest.approx([0.5 - 0.4 * k / 10 for k in range(10)])
    bonuses.clear()
    train()
    assert bonuses == pytest.approx([PLAN.entropy + (PLAN.final_entropy - PLAN.entropy) * k / 10 for k in range(10)])


def test_steps_are_rounded_up_to_whole_batches(alley, monkeypatch):
    rates = watch_updates(monkeypatch)
    _, report = train(replace(PLAN, steps=25))
    assert len(rates) == 2 and (not report.steps or report.steps[-1] == 48)


def test_points_of_the_report_are_20000_steps_apart(alley, monkeypatch):
    def collect(network, games, states, running, finished, *_):
        finished.append(7.0)
        return None, states

    monkeypatch.setattr(actor_critic, "_collect", collect)  # what is seen and learned plays no part
    monkeypatch.setattr(actor_critic, "_update", lambda *_: 0.5)
    _, report = train(replace(PLAN, steps=41_000, games=40, horizon=100))
    assert report.steps == [4_000, 24_000, 44_000] and report.entropy == [0.5] * 3
    assert report.scores == [7.0] * 3 and report.resumed == 0 and report.seconds > 0


def test_a_run_that_was_left_goes_on_where_it_was(alley, monkeypatch, tmp_path):
    path = tmp_path / "new" / "teacher.safetensors"
    rates = watch_updates(monkeypatch)
    for times in (1, 2, 3):
        assert leave(path) == (24 * times, 240) and len(rates) == times
        assert all(games.closed for games in alley)
    teacher, report = train(checkpoint=path)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(f"model.policy.{name}") for name in teacher.state_dict()}
    assert all(torch.equal(weights[name], tensor) for name, tensor in teacher.state_dict().items())
    assert report.resumed == 3 and report.steps[-1] == 240
    assert rates == pytest.approx([1e-3 + (1e-4 - 1e-3) * k / 10 for k in range(10)]), "not each update once"
    # the optimiser went on too: it has counted every minibatch
    with safe_open(path, framework="pt") as file:
        assert file.get_tensor("optimizer.0.step") == 10 * 4
        assert json.loads(file.metadata()["sobolev_lib"])["progress"]["done"] == 240
    # new episodes after each interruption, not the first ones over again
    seeds = [games.seed for games in alley]
    assert len({seed for seed in seeds if seed}) == 3 and all(games.closed for games in alley)


def test_a_resumed_run_draws_other_actions(alley, monkeypatch, tmp_path):
    drawn = []
    original = rollout.sample
    monkeypatch.setattr(rollout, "sample", lambda *args: drawn.append(original(*args)) or drawn[-1])
    monkeypatch.setattr(actor_critic, "_update", lambda *_: 0.5)  # so that the policy stays near uniform
    path = tmp_path / "teacher.safetensors"
    for _ in range(2):
        leave(path)
    assert not torch.equal(torch.stack(drawn[:8]), torch.stack(drawn[8:])), "the generator began anew"


def test_a_finished_run_gives_the_same_weights_again(alley, monkeypatch, tmp_path):
    path = tmp_path / "teacher.safetensors"
    first, report = train(checkpoint=path)
    rates = watch_updates(monkeypatch)
    again, same = train(checkpoint=path)
    assert torch.equal(vector(first), vector(again)) and not rates
    assert (same.steps, same.scores, same.entropy) == (report.steps, report.scores, report.entropy)
    assert same.resumed == 0, "nothing was left to take up"


def test_a_checkpoint_of_another_plan_is_refused(alley, tmp_path):
    path = tmp_path / "teacher.safetensors"
    leave(path)
    kept = path.read_bytes()
    for other in (replace(PLAN, seed=1), replace(PLAN, lr=2e-3), replace(PLAN, game="other")):
        with pytest.raises(ValueError, match="belongs to another run"):
            train(other, checkpoint=path)
    assert path.read_bytes() == kept


def test_a_plan_of_another_length_goes_on_from_the_same_file(alley, monkeypatch, tmp_path):
    path = tmp_path / "teacher.safetensors"
    _, report = train(replace(PLAN, steps=48), checkpoint=path)
    assert report.replanned == [] and report.steps[-1] == 48
    rates = watch_updates(monkeypatch)
    teacher, report = train(checkpoint=path)
    assert report.replanned == [48] and report.resumed == 1 and report.steps[-1] == 240
    assert rates == pytest.approx([1e-3 + (1e-4 - 1e-3) * k / 10 for k in range(2, 10)]), "the rates of the longer plan"
    kept = path.read_bytes()
    with pytest.raises(ValueError, match="trained for 240 steps; expected at most the plan's 48"):
        train(replace(PLAN, steps=48), checkpoint=path)
    assert path.read_bytes() == kept and len(rates) == 8
    again, report = train(checkpoint=path)
    assert torch.equal(vector(again), vector(teacher)) and report.replanned == [48]


def test_a_plan_of_another_final_entropy_goes_on_from_the_same_file(alley, tmp_path):
    path = tmp_path / "teacher.safetensors"
    leave(path)
    teacher, report = train(replace(PLAN, final_entropy=0.0), checkpoint=path)
    assert report.replanned == [24] and report.steps[-1] == 240
    again, report = train(replace(PLAN, final_entropy=0.005), checkpoint=path)
    assert torch.equal(vector(again), vector(teacher)) and report.replanned == [24], "nothing was left to replan"


def test_a_killed_run_keeps_what_was_saved_every_minute(alley, monkeypatch, tmp_path):
    path = tmp_path / "teacher.safetensors"
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(actor_critic, "time", clock)
    original = actor_critic._collect

    def collect(*arguments):
        clock.now += 50
        return original(*arguments)

    monkeypatch.setattr(actor_critic, "_collect", collect)
    with monkeypatch.context() as context:
        watch_updates(context, stop_at=5)
        with pytest.raises(KeyboardInterrupt):
            train(checkpoint=path)
    with safe_open(path, framework="pt") as file:  # saved after the second and fourth update, 100 seconds apart
        progress = json.loads(file.metadata()["sobolev_lib"])["progress"]
    assert progress["done"] == 4 * 24 and progress["report"]["seconds"] == 200
    rates = watch_updates(monkeypatch)
    _, report = train(checkpoint=path)
    assert len(rates) == 6 and report.resumed == 1 and report.seconds == 200 + 6 * 50


def test_a_batch_is_the_steps_between_two_updates():
    assert Plan("pong", steps=1).batch == 16 * 64 and PLAN.batch == 24
