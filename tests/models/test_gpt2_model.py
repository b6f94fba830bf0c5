"""``--arch gpt2`` keeps fairseq's contracts: the stock generator, scorer and trainer can rely on it."""

import pytest
import torch
from fairseq import tasks
from fairseq.sequence_generator import SequenceGenerator
from fairseq.sequence_scorer import SequenceScorer

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.models.gpt2_config import ARCHITECTURES
from tests.models.gpt2_setup import EOS, PAD, SYMBOLS, UNK, build, configure, tokens, write_dictionary
from tests.reference.gpt2_reference import beam_search


@pytest.fixture
def data(tmp_path):
    return write_dictionary(tmp_path / "data", SYMBOLS)


@pytest.mark.parametrize(
    "arch, num_parameters",
    [
        ("gpt2", 124_439_808),  # as counted for the published models
        ("gpt2_medium", 354_823_168),
        ("gpt2_large", 774_030_080),
        ("gpt2_xl", 1_557_611_200),
        ("distilgpt2", 81_912_576),
    ],
)
def test_architectures_have_the_published_sizes(arch, num_parameters):
    with torch.device("meta"):
        model = GPT2(GPT2Config(vocab_size=50257, **ARCHITECTURES[arch]))
    padding = (model.config.padded_vocab_size - 50257) * model.config.n_embd
    assert sum(p.numel() for p in model.parameters()) - padding == num_parameters


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_every_architecture_is_known_to_fairseq_and_flags_go_before_it(data, arch):
    cfg = configure(data, "--arch", arch, "--n-layer", "1", "--n-embd", "100", "--n-head", "5")
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    config = model.decoder.gpt2.config
    assert (config.n_layer, config.n_embd, config.n_head) == (1, 100, 5)
    assert config.n_positions == ARCHITECTURES[arch]["n_positions"]
    assert (config.vocab_size, config.padded_vocab_size) == (35, 64)


def test_logits_match_the_dictionary_and_specials_get_no_probability(data):
    model, task, _ = build(data)
    for training in (False, True):
        logits_BTV, extra = model.train(training)(tokens(2, 9), src_lengths=torch.tensor([9, 9]))
        assert logits_BTV.shape == (2, 9, len(task.source_dictionary)) and logits_BTV.dtype == torch.float32
        probs_BTV = model.get_normalized_probs((logits_BTV, extra), log_probs=False)
        assert (probs_BTV[..., [0, PAD, UNK, 34]] == 0).all()  # <s> <pad> <unk> madeupword0000
        assert (probs_BTV[..., [EOS, *range(4, 34)]] > 0).all()


def test_features_and_loss_inputs_lead_to_the_same_logits(data):
    model, _, _ = build(data)
    tokens_BT = tokens(2, 9)
    logits_BTV, _ = model(tokens_BT)
    hidden_BTD, _ = model(tokens_BT, features_only=True)
    assert torch.equal(model.extract_features(tokens_BT)[0], hidden_BTD)
    assert torch.equal(model.output_layer(hidden_BTD), logits_BTV)
    hidden_BTD, extra = model(tokens_BT, for_loss=True)
    layer = extra["output_layer"]
    scores_BTV = (hidden_BTD @ layer.weight_VD.t())[..., : layer.num_symbols]
    scores_BTV[..., layer.banned] = -torch.inf
    torch.testing.assert_close(scores_BTV, logits_BTV, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(data, side):
    model, _, _ = build(data)
    rows = [tokens(1, length, seed=length)[0] for length in (3, 12, 7)]
    padded_BT = torch.full((3, 12), PAD)
    places = [slice(12 - len(row), None) if side == "left" else slice(len(row)) for row in rows]
    for row, (place, text) in enumerate(zip(places, rows, strict=True)):
        padded_BT[row, place] = text
    together_BTV = model(padded_BT)[0]
    for row, (place, text) in enumerate(zip(places, rows, strict=True)):
        torch.testing.assert_close(
            together_BTV[row, place], model(text.unsqueeze(0))[0][0], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("first", [1, 5])
def test_incremental_decoding_equals_the_full_forward(data, first):
    model, _, _ = build(data)
    tokens_BT, state = tokens(3, 40), {}
    full_BTV = model(tokens_BT)[0].detach()
    for time in range(first, 41):
        new_BTV = model(tokens_BT[:, :time], incremental_state=state)[0]
        torch.testing.assert_close(new_BTV[:, -1], full_BTV[:, time - 1], atol=1e-5, rtol=1e-5)
    assert state


def test_incremental_decoding_takes_prompts_padded_on_the_left(data):
    model, _, _ = build(data)
    lengths, history = [2, 6, 4], tokens(3, 6)
    rows = [history[i, :n] for i, n in enumerate(lengths)]
    padded_BT = torch.stack([torch.cat([torch.full((6 - len(row),), PAD), row]) for row in rows])
    state = {}
    for step in range(5):
        last_BV = model(padded_BT, incremental_state=state)[0][:, -1]
        for row, text in enumerate(rows):
            torch.testing.assert_close(last_BV[row], model(text.unsqueeze(0))[0][0, -1], atol=1e-5, rtol=1e-5)
        new_B1 = tokens(3, 2, seed=step)[:, 1:]
        padded_BT = torch.cat([padded_BT, new_B1], dim=1)
        rows = [torch.cat([text, new]) for text, new in zip(rows, new_B1, strict=True)]


def test_reordered_states_follow_their_texts(data):
    model, _, _ = build(data)
    tokens_BT, state = tokens(4, 5), {}
    model(tokens_BT, incremental_state=state)
    order = torch.tensor([2, 2, 0])
    model.decoder.reorder_incremental_state_scripting(state, order)
    tokens_BT = torch.cat([tokens_BT[order], torch.tensor([[5], [6], [7]])], dim=1)
    last_BV = model(tokens_BT, incremental_state=state)[0][:, -1]
    torch.testing.assert_close(last_BV, model(tokens_BT)[0][:, -1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("beam", [1, 3, 5])
@pytest.mark.parametrize("prompt_length", [0, 4])
def test_stock_beam_search_equals_beam_search_by_the_book(data, beam, prompt_length):
    model, task, _ = build(data, seed=beam)
    prompts_BT = tokens(4, 1 + prompt_length, seed=beam)
    with torch.no_grad():
        model.decoder.gpt2.wte.weight[EOS] *= 3  # so that some texts end and some reach the limit
    generator = SequenceGenerator(
        [model], task.source_dictionary, beam_size=beam, max_len_b=12 + prompt_length
    )
    sample = {"net_input": {"src_tokens": prompts_BT, "src_lengths": torch.full((4,), prompt_length + 1)}}
    prefix_BT = prompts_BT[:, 1:] if prompt_length else None
    found = generator.generate([model], sample, prefix_tokens=prefix_BT, bos_token=EOS)

    @torch.no_grad()
    def log_probs_of(rows):
        return model(torch.tensor(rows))[0].log_softmax(-1)

    for row, hypotheses in enumerate(found):
        prompt = prompts_BT[row].tolist()
        table = log_probs_of([prompt])[0]
        forced = sum(table[t, prompt[t + 1]].item() for t in range(prompt_length))
        expected = beam_search(
            lambda rows: log_probs_of(rows)[:, -1], prompt, EOS, beam, 12, int(prompt_length == 0), forced
        )
        assert [one["tokens"][prompt_length:].tolist() for one in hypotheses] == [
            text for text, _ in expected
        ]
        scores = [one["score"].item() for one in hypotheses]
        assert scores == pytest.approx([score for _, score in expected], abs=1e-4)


def test_the_stock_scorer_gives_the_log_probabilities_of_the_text(data):
    model, task, _ = build(data)
    text_BT = tokens(2, 10)
    sample = {
        "net_input": {"src_tokens": text_BT[:, :-1], "src_lengths": torch.tensor([9, 9])},
        "target": text_BT[:, 1:],
    }
    hypotheses = SequenceScorer(task.source_dictionary).generate([model], sample)
    expected_BT = model(text_BT[:, :-1])[0].log_softmax(-1).gather(2, text_BT[:, 1:, None]).squeeze(2)
    for row in range(2):
        torch.testing.assert_close(hypotheses[row][0]["positional_scores"], expected_BT[row].detach())


def test_damaged_weights_stop_inference(data):
    model, _, _ = build(data)
    with torch.no_grad():
        model.decoder.gpt2.wte.weight[20] = torch.nan  # a symbol that the text does not hold
    for arguments in ({}, {"incremental_state": {}}):
        with pytest.raises(SystemExit, match="not finite"):
            model(torch.tensor([[EOS, 5, 6]]), **arguments)
    with torch.no_grad():
        model.decoder.gpt2.wte.weight[20] = 0
        model.decoder.gpt2.h[1].mlp.c_fc.bias[3] = torch.inf
    with pytest.raises(SystemExit, match="not finite"):
        model(torch.tensor([[EOS, 5, 6]]), features_only=True)
    # For a loss they are left to the criterion, which names the update and the samples.
    hidden_BTD, _ = model(torch.tensor([[EOS, 5, 6]]), for_loss=True)
    assert not torch.isfinite(hidden_BTD).all()


def test_a_text_beyond_the_positions_is_refused_by_name(data):
    model, _, _ = build(data)
    assert model.max_positions() == model.max_decoder_positions() == 40
    with pytest.raises(
        SystemExit, match=r"41 tokens does not fit into the model's 40 positions .--n-positions."
    ):
        model(tokens(1, 41))


@pytest.mark.parametrize("symbol", ["<unk>", "<s>", "madeupword0000"])
def test_symbols_without_a_token_are_refused_in_a_text(data, symbol):
    model, task, _ = build(data)
    text_BT = torch.tensor([[EOS, 5, task.source_dictionary.index(symbol), PAD]])
    for training in (False, True):
        with pytest.raises(SystemExit, match=symbol):
            model.train(training)(text_BT)
