"""The peer of ``characters.py``: a plain character GPT, trained as nanoGPT trains its tinyshakespeare model.

Written for this comparison, in nothing but PyTorch: blocks of 256 characters at random places, dropout, AdamW
with betas (0.9, 0.99) and weight decay 0.1 on matrices, gradients clipped at 1, 100 updates of warm-up, a
cosine down to a tenth of the rate. The cosine runs over the time given instead of a number of updates, so
that it ends with it.

Legend: B batch, T time, D width, H heads, V characters.
"""

import contextlib
import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

BLOCK, BATCH, RATE, WARMUP, DECAY, CLIP = 256, 12, 1e-3, 100, 0.1, 1.0


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BTD):
        B, T, D = x_BTD.shape
        q, k, v = (
            part.view(B, T, self.heads, -1).transpose(1, 2)
            for part in self.qkv(self.norm_1(x_BTD)).split(D, -1)
        )
        mixed = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, dropout_p=self.dropout if self.training else 0.0
        )
        x_BTD = x_BTD + F.dropout(
            self.out(mixed.transpose(1, 2).reshape(B, T, D)), self.dropout, self.training
        )
        inner = self.down(F.gelu(self.up(self.norm_2(x_BTD))))
        return x_BTD + F.dropout(inner, self.dropout, self.training)


class CharacterModel(nn.Module):
    """A GPT over characters with a tied output layer."""

    def __init__(self, num_characters, layers, width, heads, dropout):
        super().__init__()
        self.dropout = dropout
        self.characters, self.places = nn.Embedding(num_characters, width), nn.Embedding(BLOCK, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * layers) if residual else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def loss(self, text_BT):
        """Summed negative log likelihood, in nats, of every character but the first of each row."""
        source_BT = text_BT[:, :-1]
        x_BTD = self.characters(source_BT) + self.places.weight[: source_BT.shape[1]]
        x_BTD = F.dropout(x_BTD, self.dropout, self.training)
        for block in self.blocks:
            x_BTD = block(x_BTD)
        logits = F.linear(self.norm(x_BTD), self.characters.weight)
        return F.cross_entropy(logits.flatten(0, 1).float(), text_BT[:, 1:].flatten(), reduction="sum")


class Trainer:
    """Trains for a given time; the clock stands still while the model is measured.

    Args:
        train, valid: the texts.
        sizes: ``{"layers", "width", "heads", "dropout"}``.
        seconds: of training.
        seed: of everything.
    """

    def __init__(self, train, valid, sizes, seconds, seed=1):
        torch.manual_seed(seed)
        # The last id stands for characters that only the validation text has.
        ids = {character: number for number, character in enumerate(sorted(set(train)))}
        self.train, self.valid = (
            torch.tensor([ids.get(c, len(ids)) for c in text]) for text in (train, valid)
        )
        self.model = CharacterModel(len(ids) + 1, **sizes)
        matrices = [p for p in self.model.parameters() if p.dim() >= 2]
        rest = [p for p in self.model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99), fused=True)
        self.seconds, self.updates, self.used, self.half = seconds, 0, 0.0, False

    def _products(self):
        return torch.autocast("cpu", torch.bfloat16) if self.half else contextlib.nullcontext()

    def update(self):
        """One update; seconds."""
        start = time.perf_counter()
        done = min(1.0, self.used / self.seconds)
        rate = RATE * min(1.0, (self.updates + 1) / WARMUP) * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        places = torch.randint(len(self.train) - BLOCK, (BATCH,)).tolist()
        with self._products():
            loss = self.model.loss(torch.stack([self.train[place : place + BLOCK + 1] for place in places]))
        (loss / (BATCH * BLOCK)).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.updates += 1
        self.used += time.perf_counter() - start
        return time.perf_counter() - start

    def choose_precision(self):
        """Take bf16 products if they are faster here: six trial updates each, which count as training."""
        speeds = {}
        for self.half in (False, True):
            times = [self.update() for _ in range(6)]
            speeds[self.half] = min(times)
        self.half = speeds[True] < speeds[False]
        return "bf16" if self.half else "fp32"

    @torch.no_grad()
    def measure(self):
        """Nats per character over the whole validation text, in blocks of 256 characters."""
        self.model.eval()
        text, total = self.valid, 0.0
        for start in range(0, len(text) - 1, 32 * BLOCK):
            part = text[start : start + 32 * BLOCK + 1]
            whole = (len(part) - 1) // BLOCK * BLOCK
            with self._products():
                if whole:
                    rows = torch.stack([part[i : i + BLOCK + 1] for i in range(0, whole, BLOCK)])
                    total += self.model.loss(rows).item()
                if whole < len(part) - 1:
                    total += self.model.loss(part[whole:].unsqueeze(0)).item()
        self.model.train()
        return total / (len(text) - 1)

    def run(self, measurements=12, tell=print):
        """Train until the time is over.

        Returns:
            ``{"best", "updates", "characters", "seconds", "precision", "curve": [(updates, nats)]}``, nats
            per character.
        """
        precision, curve = self.choose_precision(), []
        while self.used < self.seconds:
            self.update()
            if self.used / self.seconds >= (len(curve) + 1) / measurements:
                curve.append((self.updates, round(self.measure(), 4)))
                tell(
                    f"characters: {self.used:.0f} s, update {curve[-1][0]:,}: {curve[-1][1]:.4f} nats per "
                    "character"
                )
        curve = curve or [
            (self.updates, round(self.measure(), 4))
        ]  # a time so short that the trial took all of it
        return {
            "best": min(value for _, value in curve),
            "updates": self.updates,
            "characters": self.updates * BATCH * BLOCK,
            "seconds": round(self.used, 1),
            "precision": precision,
            "curve": curve,
        }
