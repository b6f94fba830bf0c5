"""The digits of a value inside its range, as states: only digits that lead to a value of the range.

A range 5140 .. 5265 shares the digit 5; the other three are symbols, the largest place first. A state knows
whether the digits so far are those of the lower end, of the upper end, or of neither; then any may follow.
"""

from dataclasses import dataclass, field

from fairseq_plugin.tables.code.automaton import DONE, AutomatonBuilder


@dataclass
class Digits:
    """The digits of one column.

    Attributes:
        builder: gets the states.
        first_symbol: of the digits of the lowest place; 10 symbols for each place.
        shift: taken from every value, so that all are at least 0; a round number, so that digits keep their
            meaning.
    """

    builder: AutomatonBuilder
    first_symbol: int
    shift: int
    _known: dict[tuple[str, str], int] = field(default_factory=dict)

    @staticmethod
    def shift_for(low: int, high: int) -> int:
        """The largest power-of-ten multiple that is not above ``low``, of a power above the range's width.

        >>> Digits.shift_for(-3, 20), Digits.shift_for(1995, 2024)
        (-100, 1900)
        """
        power = 10 ** len(str(high - low))
        return low // power * power

    def tails(self, first: int, last: int) -> tuple[str, str]:
        """The digits of both ends of a range that are not shared."""
        high = str(last - self.shift)
        low = str(first - self.shift).rjust(len(high), "0")
        shared = next(place for place in range(len(high)) if low[place] != high[place])
        return low[shared:], high[shared:]

    def state(self, low: str, high: str) -> int:
        """The state from which the digits from ``low`` to ``high`` follow; ``DONE`` where none are left."""
        if not low:
            return DONE
        if (low, high) not in self._known:
            free = "0" * (len(low) - 1), "9" * (len(low) - 1)
            following = []
            for digit in range(int(low[0]), int(high[0]) + 1):
                lower = low[1:] if digit == int(low[0]) else free[0]
                upper = high[1:] if digit == int(high[0]) else free[1]
                following.append(self.state(lower, upper))
            self._known[low, high] = self.builder.state(self.symbol(len(low), int(low[0])), following)
        return self._known[low, high]

    def symbol(self, place: int, digit: int) -> int:
        """The symbol of a digit; ``place`` 1 is the lowest."""
        return self.first_symbol + 10 * (place - 1) + digit

    def encode(self, value: int, first: int, last: int) -> list[int]:
        """The symbols of a value in a range of more than one."""
        num_places = len(self.tails(first, last)[0])
        digits = str(value - self.shift).rjust(num_places, "0")[-num_places:]
        return [self.symbol(num_places - at, int(digit)) for at, digit in enumerate(digits)]

    def decode(self, symbols: list[int], first: int, last: int) -> int:
        """The inverse of :meth:`encode`."""
        num_places = len(self.tails(first, last)[0])
        inside = int("".join(str((symbol - self.first_symbol) % 10) for symbol in symbols))
        power = 10**num_places
        return self.shift + (last - self.shift) // power * power + inside
