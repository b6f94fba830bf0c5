"""What may not come next does not come, in any decoder, whatever happens to the slots."""

import random

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.sampling.constraints import (
    ForbiddenSymbols,
    MinimumLength,
    NoRepeatNGrams,
    RepetitionPenalty,
)
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.draw import GREEDY, Sampling
from fairseq_plugin.sampling.request import BeamSearch, ContrastiveSearch, DecodingRequest
from tests.reference.search_oracle import repeating_tokens

CPU, END, NUM_SYMBOLS = torch.device("cpu"), 2, 30
METHODS = [GREEDY, Sampling(), Sampling(gumbel=True, top_k=9), BeamSearch(3), ContrastiveSearch(5, 0.6)]
PROMPTS = [[END, 7], [END, 8, 9, 10], [END, 7, 7], [END, 12, 5, 6, 7, 8, 9, 10, 11, 12]]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    network = GPT2(GPT2Config(vocab_size=NUM_SYMBOLS, n_positions=48, n_embd=32, n_layer=2, n_head=2)).eval()
    with torch.no_grad():
        network.wte.weight.mul_(6)
    return network


def forbidden_by(constraint, num_slots):
    """What each slot may not be continued by, as sets."""
    logits_SV = torch.zeros(num_slots, NUM_SYMBOLS)
    constraint.forbid(logits_SV)
    return [set((row == -torch.inf).nonzero().flatten().tolist()) for row in logits_SV]


class Literal:
    """The same constraints over lists of Python lists."""

    def __init__(self, prompts, min_new, n):
        self.texts, self.new, self.min_new, self.n = list(map(list, prompts)), [0] * len(prompts), min_new, n

    def forbidden(self):
        ends = [{END} if new < self.min_new else set() for new in self.new]
        return ends, [repeating_tokens(text, self.n) for text in self.texts]

    def append(self, tokens):
        self.texts = [[*text, token] for text, token in zip(self.texts, tokens)]
        self.new = [new + 1 for new in self.new]

    def keep(self, slots):
        self.texts, self.new = [self.texts[i] for i in slots], [self.new[i] for i in slots]

    def replace(self, slots, prompts):
        for i, prompt in zip(slots, prompts):
            self.texts[i], self.new[i] = list(prompt), 0


@pytest.mark.parametrize("seed", range(12))
def test_slots_may_be_dropped_repeated_reordered_and_given_to_new_samples(seed):
    dice = random.Random(seed)
    n, min_new, max_new = dice.randint(1, 4), dice.randint(0, 6), 40

    def prompt():
        return [dice.randrange(5) for _ in range(dice.randint(1, 9))]

    prompts = [prompt() for _ in range(dice.randint(1, 6))]
    literal = Literal(prompts, min_new, n)
    ours = [MinimumLength(len(prompts), END, min_new, CPU), NoRepeatNGrams(prompts, n, max_new, CPU)]
    for _ in range(40):
        for constraint, expected in zip(ours, literal.forbidden()):
            assert forbidden_by(constraint, len(literal.texts)) == expected
        move, num_slots = dice.choice(["append", "append", "keep", "replace"]), len(literal.texts)
        if move == "append":
            tokens = [dice.randrange(5) for _ in range(num_slots)]
            literal.append(tokens)
            for constraint in ours:
                constraint.append(torch.tensor(tokens))
            continue
        if move == "keep":
            slots = [dice.randrange(num_slots) for _ in range(dice.randint(1, 8))]
            literal.keep(slots)
            for constraint in ours:
                constraint.keep(torch.tensor(slots))
            continue
        slots = dice.sample(range(num_slots), dice.randint(1, num_slots))
        new = [prompt() + [3] * dice.choice([0, 0, 30]) for _ in slots]
        literal.replace(slots, new)
        for constraint in ours:
            constraint.replace(torch.tensor(slots), new)


@pytest.mark.parametrize("method", METHODS)
def test_forbidden_symbols_are_never_chosen(model, method):
    allowed = [END, 5, 11, 17]  # fewer than the candidates of the contrastive search
    forbidden = tuple(set(range(NUM_SYMBOLS)) - set(allowed))
    request = DecodingRequest(method, end=END, max_new=20, seed=3, forbidden=forbidden)
    texts = [one.tokens for many in decode(model, PROMPTS, range(4), request) for one in many]
    assert all(set(tokens.tolist()) <= {5, 11, 17} for tokens in texts)
    assert len({tuple(tokens.tolist()) for tokens in texts}) > 1
    free = DecodingRequest(method, end=END, max_new=20, seed=3)
    assert any(set(one.tokens.tolist()) - {5, 11, 17} for one in decode(model, PROMPTS, range(4), free)[0])


class Table:
    """A table [state, symbol]: which symbols a state allows, and the state that follows."""

    def __init__(self, allowed, following, prompts, device):
        self.allowed_QV, self.following_QV = allowed.to(device), following.to(device)
        self.state_S = torch.zeros(len(prompts), dtype=torch.int64, device=device)
        self.replace(torch.arange(len(prompts)), prompts)

    def forbid(self, logits_SV):
        logits_SV.masked_fill_(~self.allowed_QV[self.state_S], -torch.inf)

    def append(self, tokens_S):
        self.state_S = self.following_QV[self.state_S, tokens_S]

    def keep(self, slots_S):
        self.state_S = self.state_S[slots_S]

    def replace(self, slots_S, prompts):
        self.state_S[slots_S] = torch.tensor([prompt[-1] % 3 for prompt in prompts])


@pytest.mark.parametrize("method", METHODS)
def test_a_table_of_states_and_symbols_constrains_every_decoder(model, method):
    generator = torch.Generator().manual_seed(0)
    allowed_QV = torch.rand(3, NUM_SYMBOLS, generator=generator) < 0.2
    allowed_QV[:, 20:22] = True  # no state without a way on
    following_QV = torch.randint(3, (3, NUM_SYMBOLS), generator=generator)
    request = DecodingRequest(
        method,
        end=END,
        max_new=25,
        seed=3,
        constraints=(lambda *args: Table(allowed_QV, following_QV, *args),),
    )
    for prompt, many in zip(PROMPTS, decode(model, PROMPTS, range(4), request), strict=True):
        for one in many:
            state = prompt[-1] % 3
            for token in one.tokens.tolist() + [END] * one.ended:
                assert allowed_QV[state, token]
                state = following_QV[state, token]


def test_a_constraint_that_allows_nothing_stops(model):
    request = DecodingRequest(GREEDY, end=END, max_new=5, forbidden=tuple(range(NUM_SYMBOLS)))
    with pytest.raises(FloatingPointError, match="no token at all"):
        decode(model, PROMPTS, range(4), request)


def test_where_nothing_is_forbidden_there_is_nothing_to_ask():
    request = DecodingRequest(Sampling(), end=END, max_new=5)
    assert request.start_constraints(PROMPTS, CPU) == []
    more = DecodingRequest(Sampling(), end=END, max_new=5, min_new=2, no_repeat_ngram=3, forbidden=(0,))
    kinds = [type(one) for one in more.start_constraints(PROMPTS, CPU)]
    assert kinds == [ForbiddenSymbols, MinimumLength, NoRepeatNGrams]


def literal_penalty(logits, text, penalty):
    """CTRL's rule, token by token, each token of the text once."""
    return [
        (z / penalty if z > 0 else z * penalty) if token in set(text) else z for token, z in enumerate(logits)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_penalty_is_the_literal_one_whatever_happens_to_the_slots(seed):
    dice = random.Random(seed)
    texts = [[dice.randrange(NUM_SYMBOLS) for _ in range(dice.randint(1, 9))] for _ in range(3)]
    ours = RepetitionPenalty(texts, 1.3, 60, CPU)
    for _ in range(30):
        logits = torch.randn(
            len(texts), NUM_SYMBOLS, generator=torch.Generator().manual_seed(dice.getrandbits(30))
        )
        logits[:, 0] = -torch.inf
        truth = [literal_penalty(row, text, 1.3) for row, text in zip(logits.tolist(), texts)]
        ours.forbid(logits)
        torch.testing.assert_close(logits, torch.tensor(truth))
        move = dice.choice(["append", "keep", "replace", "resume"])
        if move == "append":
            tokens = [dice.randrange(NUM_SYMBOLS) for _ in texts]
            texts = [[*text, token] for text, token in zip(texts, tokens)]
            ours.append(torch.tensor(tokens))
        elif move == "keep":
            slots = [dice.randrange(len(texts)) for _ in range(dice.randint(1, 5))]
            texts = [texts[slot] for slot in slots]
            ours.keep(torch.tensor(slots))
        else:
            slot, new = dice.randrange(len(texts)), [3, 4] if move == "resume" else []
            texts[slot] = [dice.randrange(NUM_SYMBOLS), *new]
            prompts = [texts[slot][:1]]
            start = ours.resume if move == "resume" else ours.replace
            start(torch.tensor([slot]), prompts, *([[new]] if move == "resume" else []))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_with_a_penalty_is_the_literal_arg_max(model, prompt):
    request = DecodingRequest(GREEDY, end=END, max_new=12, min_new=12, repetition_penalty=1.5)
    ((found,),) = decode(model, [prompt], [0], request)
    text = list(prompt)
    for _ in range(12):
        with torch.no_grad():
            logits = literal_penalty(model.logits(model(torch.tensor([text])))[0, -1].tolist(), text, 1.5)
        logits[END] = -torch.inf
        text.append(max(range(NUM_SYMBOLS), key=logits.__getitem__))
    assert found.tokens.tolist() == text[len(prompt) :]


@pytest.mark.parametrize("penalty", [0.9, -1.0, float("nan"), 101.0])
def test_a_penalty_outside_its_range_is_refused(penalty):
    with pytest.raises(ValueError, match=r"repetition penalty must be in \[1, 100\]"):
        DecodingRequest(GREEDY, end=END, max_new=1, repetition_penalty=penalty)
