"""What the stages decide before minutes are spent."""

import pytest

from fairseq_plugin.corpus.prepare import Request, prepare
from fairseq_plugin.errors import UserError
from fairseq_plugin.imitation.recipe import CONTEXT
from fairseq_plugin.imitation.request import ImitationRequest
from fairseq_plugin.imitation.stages import ImitationStages
from fairseq_plugin.tasks.prompt_sources import read_prompts
from fairseq_plugin.text.codec import load_codec

CHINESE = "".join(chr(0x4E00 + 37 * number % 5000) for number in range(300)) + "\n"


@pytest.fixture
def stages(tmp_path):
    """``stages(text, prompts)``: of a text that is prepared as the first stage does it."""

    def make(text, *prompts):
        (tmp_path / "a.txt").write_text(text, "utf-8")
        made = ImitationStages(ImitationRequest(tmp_path / "a.txt", tmp_path / "out", prompts=prompts))
        choice = {"codec": "bytes", "vocab_size": 300}
        prepare(Request(str(tmp_path / "a.txt"), str(tmp_path / "out" / "data"), split=(0.9, 0.1), **choice))
        return made

    return make


@pytest.mark.parametrize("text", [CHINESE * 40, "a line of words\n" * 400, "\n\n\t\\x y\n" * 300])
def test_prompts_leave_room_for_samples_in_any_alphabet(stages, text):
    made = stages(text)
    made.write_prompts()
    codec = load_codec(made.data)
    prompts = read_prompts(made.prompts, "--prompts", codec.encode)
    assert len(prompts) == 2 and all(len(tokens) < CONTEXT for _, tokens in prompts)
    assert prompts[0][0] == "\n\n" and prompts[1][0].rstrip("\n") in text
    before = made.prompts.read_bytes()
    made.write_prompts()
    assert made.prompts.read_bytes() == before


def test_prompts_of_ones_own_are_kept_and_too_long_ones_refused_at_once(stages):
    made = stages("a line of words\n" * 400, "one\ntwo\\n", "\ttab")
    made.write_prompts()
    read = read_prompts(made.prompts, "--prompts", load_codec(made.data).encode)
    assert [text for text, _ in read] == ["one\ntwo\\n", "\ttab"]
    with pytest.raises(UserError, match="--prompt .* tokens, the model reads 128"):
        stages("a line of words\n" * 400, "xyzw " * 100).write_prompts()


def test_a_run_of_another_text_is_named(stages, tmp_path):
    made = stages("a line of words\n" * 400)
    made.check_text()
    (tmp_path / "a.txt").write_text("other words\n" * 400)
    with pytest.raises(UserError, match="was begun with another text.*another --to"):
        made.check_text()


def test_an_empty_prompt_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    for prompt in ("", " "):
        with pytest.raises(UserError, match="--prompt .* is empty"):
            ImitationRequest(tmp_path / "a.txt", tmp_path, prompts=(prompt,)).check()


def test_the_recipe_is_decided_by_the_trials_speed(stages, tmp_path):
    made = stages("a line of words\n" * 400)
    trial = tmp_path / "out" / "steps" / "trial.log"
    trial.parent.mkdir(parents=True)
    trial.write_text('{"ups": "0.5"}\nnoise {"epoch": 1, "ups": "4"}\n')
    assert made.decide(made.candidates[0]).startswith("4 updates a second: ")
    assert made.recipe.is_file()


def test_too_few_updates_for_a_network_leave_the_recipe_to_a_smaller_one(stages, tmp_path):
    made = stages("a line of words\n" * 20_000)
    trial = tmp_path / "out" / "steps" / "trial.log"
    trial.parent.mkdir(parents=True)
    large, *_, small = made.candidates
    trial.write_text('{"ups": "0.1"}\n')
    assert made.decide(large).endswith("a smaller network learns more in this time")
    assert not made.recipe.is_file()
    made.decide(small)  # the smallest has to do
    assert made.recipe.is_file() and made.sizes == small
