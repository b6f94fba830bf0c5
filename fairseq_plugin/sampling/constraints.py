"""Forbid every token that would repeat an n-gram of its own text (Paulus et al. 2017, section 2.5).

Legend: R rows, T tokens of the texts so far, W windows of n tokens, V vocabulary.
"""

import torch

_NO_TOKEN = -1


class NGramBlock:
    """The texts so far, prompts included, and which tokens may not come next.

    Args:
        prompts: ``R`` lists of token ids.
        n: length of the n-grams that may occur once only; >= 1.
        max_new: most tokens that will follow.
        device: of the logits.
    """

    def __init__(self, prompts, n, max_new, device):
        self.n = n
        self.lengths_R = torch.tensor([len(prompt) for prompt in prompts], device=device)
        longest = max(max(map(len, prompts)) + max_new, n)  # room for one window at least
        padded = [list(prompt) + [_NO_TOKEN] * (longest - len(prompt)) for prompt in prompts]
        self.texts_RT = torch.tensor(padded, device=device)

    def forbid(self, logits_RV):
        """Set the logits of forbidden next tokens to -inf, in place.

        A token is forbidden where the last n - 1 tokens of the text stand earlier in it and are followed by
        that token there.
        """
        windows_RWN = self.texts_RT.unfold(1, self.n, 1)
        last_N = torch.arange(1 - self.n, 0, device=self.texts_RT.device)
        ending_RN = self.texts_RT.gather(1, (self.lengths_R.unsqueeze(1) + last_N).clamp(min=0))
        next_RW = windows_RWN[..., -1]
        # A text shorter than n has no whole window, so what clamp made of its ending matters to nobody.
        repeats_RW = (windows_RWN[..., :-1] == ending_RN.unsqueeze(1)).all(-1) & (next_RW != _NO_TOKEN)
        rows, windows = repeats_RW.nonzero(as_tuple=True)
        logits_RV[rows, next_RW[rows, windows]] = float("-inf")

    def append(self, tokens_R):
        """Add one token to every text."""
        self.texts_RT.scatter_(1, self.lengths_R.unsqueeze(1), tokens_R.unsqueeze(1))
        self.lengths_R = self.lengths_R + 1

    def keep(self, rows):
        """Make row i what row ``rows[i]`` was."""
        self.texts_RT, self.lengths_R = self.texts_RT[rows], self.lengths_R[rows]
