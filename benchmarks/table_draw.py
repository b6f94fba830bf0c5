"""New rows by a model of ours, alone in its process; ``table_rates.py`` calls this.

    python benchmarks/table_draw.py CHECKPOINT DATA NEW.csv ROWS SEED

Prints the seconds of the processor that sampling took, as JSON; loading the model is not among them.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.writing import write_table


def main():
    checkpoint, data, new, rows, seed = sys.argv[1:]
    model = TableModel.load(checkpoint, data)
    began = time.process_time()
    drawn = model.sample(int(rows), seed=int(seed))
    seconds = time.process_time() - began
    write_table(new, drawn.names, drawn.rows, "csv")
    print(json.dumps({"processor": seconds, "rows": len(drawn.rows)}))


if __name__ == "__main__":
    main()
