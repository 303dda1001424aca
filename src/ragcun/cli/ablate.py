"""`ragcun ablate`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.output import print_table


def ablate(
    grid: Annotated[list[str], typer.Option(help="NAME=VALUE,VALUE,... of a setting; repeat for more dimensions.")],
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each setting, with seeds 0, 1, ...")] = 3,
    preset: options.Preset = None,
    config: options.Config = None,
    train_data: options.TrainData = None,
    val_data: options.ValData = None,
    base_model: options.BaseModel = None,
    datasets: Annotated[str | None, typer.Option(help="Evaluate on these in DATA_DIR, separated by commas.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder that holds them.")] = None,
    split: Annotated[str, typer.Option(help="Whose queries are asked.")] = "test",
    rows: Annotated[int | None, typer.Option(min=4, help="Take a random sample of so many pairs.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the pairs.")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens the base sees.")] = None,
    output_dim: Annotated[int | None, typer.Option(min=1, help="Dimension of the embeddings.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Trainings at a time. (default: cores; 1 on a GPU)")] = None,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Folder of all.")] = Path(
        "experiments/ablation"
    ),
    store: options.Store = None,
    on_error: options.OnError = None,
    json: options.Json = False,
) -> None:
    """Train a grid of settings over seeds on the same stored embeddings, and tabulate what each gives.

    The trade of isotropy against nDCG@10 is drawn for each collection. Finished trainings are not done again, killed
    ones go on. Exit code 1 where a training failed.
    """
    from ragcun.errors import UserError
    from ragcun.evaluation.beir import find_datasets
    from ragcun.pipeline.ablation import run_ablation
    from ragcun.pipeline.grid import cells_of, parse_grid
    from ragcun.pipeline.table import ablation_table
    from ragcun.settings.load import load_settings

    if (datasets is None) != (data_dir is None):
        raise UserError("ablate: --datasets and --data-dir go together")
    flags = {
        "data.train": train_data,
        "data.val": val_data,
        "data.on_error": on_error,
        "model.base": base_model,
        "model.max_length": max_length,
        "model.output_dim": output_dim,
        "training.rows": rows,
        "training.epochs": epochs,
    }
    cells = cells_of(
        parse_grid(grid), seeds, lambda values: load_settings(preset, config, {**flags, **values}), output_dir
    )
    folders = [] if datasets is None or data_dir is None else find_datasets(datasets.split(","), data_dir, split)
    found = run_ablation(cells, output_dir, options.store_folder(store), folders, split, jobs)
    print_table(ablation_table(found))
    if json:
        options.print_json(found)
