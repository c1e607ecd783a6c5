"""The shipped students: there for Breakout, of both methods, closer to the teacher than chance, and written as they are read."""
import pytest
import torch

from sobolev_lib.atari import Student, copies, load_teacher
from sobolev_lib.atari.distillation import OBJECTIVES


@pytest.mark.parametrize("method", copies.RUNS)
def test_a_shipped_student_answers_like_a_policy(method):
    student = copies.load_copy("breakout", method)
    logits = student(torch.zeros(2, 4, 84, 84, dtype=torch.uint8))
    assert logits.shape == (2, load_teacher("breakout").num_actions) and logits.isfinite().all()
    assert not student.training and not any(p.requires_grad for p in student.parameters())


def test_both_began_alike_and_differ_in_method_only():
    assert set(copies.RUNS) == {"kl", "sobolev"} <= set(OBJECTIVES)
    assert {run.seed for run in copies.RUNS.values()} == {0} and copies.RUNS["kl"].strength == 0


def test_written_and_read(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "copies_folder", lambda: tmp_path)
    student = Student(4, generator=torch.Generator().manual_seed(0))
    copies.save_copy(student, "breakout", "kl", tmp_path / "breakout-kl.safetensors")
    x = torch.rand(3, 4, 84, 84, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(copies.load_copy("breakout", "kl")(x), student(x), rtol=2e-2, atol=2e-2)


def wrong(about=None, weights=None):
    """A file like that of a student of Breakout, but for what is given."""
    student = Student(4).state_dict() | (weights or {})
    return student, {"kind": "sobolev_lib.atari.Student", "game": "breakout", "method": "kl", "num_actions": "4"} | (about or {})


@pytest.mark.parametrize("file, message", [
    (wrong({"kind": "sobolev_lib.atari.Teacher"}), "expected a sobolev_lib.atari.Student for 'breakout', 'kl', got sobolev_lib.atari.Teacher"),
    (wrong({"game": "pong"}), "got sobolev_lib.atari.Student for 'pong', 'kl'"),
    (wrong({"method": "sobolev"}), "got sobolev_lib.atari.Student for 'breakout', 'sobolev'"),
    (wrong({"num_actions": "6"}), "expected a student's weights in .*, got others"),
    (wrong({"num_actions": "some"}), "expected a student's weights in .*, got others"),
    (wrong(weights={"more": torch.zeros(1)}), "expected a student's weights in .*, got others"),
    (wrong(weights={"more": torch.tensor([torch.inf])}), "got others: weights that are not finite numbers"),
])
def test_a_file_of_another_is_refused(file, message, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "copies_folder", lambda: tmp_path)
    copies.write_tensors(tmp_path / "breakout-kl.safetensors", *file)
    with pytest.raises(ValueError, match=message):
        copies.load_copy("breakout", "kl")


@pytest.mark.parametrize("weight", [1e5, float("nan")])
def test_weights_that_float16_cannot_hold_are_not_written(tmp_path, weight):
    student = Student(4)
    name, parameter = next(iter(student.named_parameters()))
    torch.nn.init.constant_(parameter, weight)
    with pytest.raises(ValueError, match=rf"student: expected weights that float16 can hold, up to 65,504, got .* in {name}"):
        copies.save_copy(student, "breakout", "kl", tmp_path / "file.safetensors")
    assert not list(tmp_path.iterdir())


def test_unknown_students_are_named():
    with pytest.raises(ValueError, match="one of the students breakout-kl, breakout-sobolev, got 'pong' and 'kl'"):
        copies.load_copy("pong", "kl")


@pytest.mark.slow
def test_trained_on_recorded_states():
    pytest.importorskip("ale_py")
    trained = copies.train_copies("breakout", states=4_000, games=6, share=0.02, steps=2, progress=False)
    assert set(trained) == set(copies.RUNS)
    weights = [torch.nn.utils.parameters_to_vector(student.parameters()) for student in trained.values()]
    assert not torch.equal(*weights) and all(w.isfinite().all() for w in weights)
