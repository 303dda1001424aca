"""`ragcun train`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options


def _setting(flag: str, help_: str, metavar: str | None = None) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, help=help_, metavar=metavar, rich_help_panel="Settings")
    return option


def train(
    preset: options.Preset = None,
    config: options.Config = None,
    train_data: options.TrainData = None,
    val_data: options.ValData = None,
    base_model: options.BaseModel = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", "-o", help="The experiment's folder. (default: experiments/PRESET)"),
    ] = None,
    load_checkpoint: Annotated[
        str | None, typer.Option("--load-checkpoint", help="Start from the head of this encoder or experiment.")
    ] = None,
    store: options.Store = None,
    seed: options.Seed = None,
    on_error: options.OnError = None,
    json: options.Json = False,
    epochs: Annotated[int | None, _setting("--epochs", "Passes over the pairs.")] = None,
    rows: Annotated[int | None, _setting("--rows", "Take a random sample of so many pairs.")] = None,
    batch_size: Annotated[int | None, _setting("--batch-size", "Pairs a process and step.")] = None,
    gradient_accumulation_steps: Annotated[
        int | None, _setting("--gradient-accumulation-steps", "Batches an optimiser step.")
    ] = None,
    learning_rate: Annotated[float | None, _setting("--learning-rate", "Highest learning rate.")] = None,
    warmup_steps: Annotated[int | None, _setting("--warmup-steps", "Steps of linear warm-up.")] = None,
    scheduler: Annotated[
        str | None, _setting("--scheduler", "Learning rate after warm-up.", "cosine|linear|constant")
    ] = None,
    weight_decay: Annotated[float | None, _setting("--weight-decay", "AdamW's weight decay.")] = None,
    max_grad_norm: Annotated[float | None, _setting("--max-grad-norm", "Clip gradients to this norm.")] = None,
    lambda_isotropy: Annotated[float | None, _setting("--lambda-isotropy", "Weight of SIGReg.")] = None,
    lambda_reg: Annotated[float | None, _setting("--lambda-reg", "Weight of the scale regulariser.")] = None,
    keep_base: Annotated[
        float | None, _setting("--keep-base", "Weight of the term that keeps the base's similarities.")
    ] = None,
    temperature: Annotated[
        float | None, _setting("--temperature", "Divides squared distances. (default: output-dim / 10)")
    ] = None,
    learnable_temperature: Annotated[
        bool | None, _setting("--learnable-temperature/--fixed-temperature", "Train the temperature, too.")
    ] = None,
    share: Annotated[
        float | None, _setting("--share", "How far the saved head goes from start (0) to end (1).")
    ] = None,
    head: Annotated[str | None, _setting("--head", "The head.", "mlp|linear|whiten|identity")] = None,
    init: Annotated[str | None, _setting("--init", "How it starts.", "base|random")] = None,
    output_dim: Annotated[int | None, _setting("--output-dim", "Dimension of the embeddings.")] = None,
    dropout: Annotated[float | None, _setting("--dropout", "Between the MLP's layers.")] = None,
    whiten_power: Annotated[float | None, _setting("--whiten-power", "Of head whiten: 0 PCA, 1 full.")] = None,
    freeze_base: Annotated[bool | None, _setting("--freeze-base/--no-freeze-base", "Train the head only.")] = None,
    max_length: Annotated[int | None, _setting("--max-length", "Tokens the base sees. (default: its own)")] = None,
    precision: Annotated[
        str | None, _setting("--precision", "In which a frozen base is computed.", "fp32|bf16|fp16")
    ] = None,
    mixed_precision: Annotated[
        str | None, _setting("--mixed-precision", "In which the head is trained.", "auto|no|bf16|fp16")
    ] = None,
    log_interval: Annotated[int | None, _setting("--log-interval", "Steps between lines of the history.")] = None,
    eval_interval: Annotated[
        int | None, _setting("--eval-interval", "Steps between scores on dev. (default: each epoch)")
    ] = None,
    save_interval: Annotated[
        int | None, _setting("--save-interval", "Steps between checkpoints. (default: each epoch)")
    ] = None,
) -> None:
    """Train a head on a frozen base.

    Settings come from defaults < preset < --config < environment (RAGCUN_TRAINING__EPOCHS=3) < flags. The same command,
    given again, resumes an interrupted training and leaves a finished one as it is.
    """
    from ragcun.settings.load import load_settings

    settings = load_settings(
        preset,
        config,
        {
            "seed": seed,
            "data.train": train_data,
            "data.val": val_data,
            "data.on_error": on_error,
            "model.base": base_model,
            "model.head": head,
            "model.init": init,
            "model.output_dim": output_dim,
            "model.dropout": dropout,
            "model.whiten_power": whiten_power,
            "model.freeze_base": freeze_base,
            "model.max_length": max_length,
            "model.precision": precision,
            "training.epochs": epochs,
            "training.rows": rows,
            "training.batch_size": batch_size,
            "training.gradient_accumulation_steps": gradient_accumulation_steps,
            "training.learning_rate": learning_rate,
            "training.warmup_steps": warmup_steps,
            "training.scheduler": scheduler,
            "training.weight_decay": weight_decay,
            "training.max_grad_norm": max_grad_norm,
            "training.lambda_isotropy": lambda_isotropy,
            "training.lambda_reg": lambda_reg,
            "training.keep_base": keep_base,
            "training.temperature": temperature,
            "training.learnable_temperature": learnable_temperature,
            "training.share": share,
            "training.mixed_precision": mixed_precision,
            "training.log_interval": log_interval,
            "training.eval_interval": eval_interval,
            "training.save_interval": save_interval,
        },
    )
    experiment = output_dir if output_dir is not None else Path("experiments") / (settings.preset or "train")
    from ragcun.pipeline.steps import prepare_data
    from ragcun.training.run import train as train_head

    manifest = train_head(prepare_data(settings, experiment), experiment, options.store_folder(store), load_checkpoint)
    if json:
        options.print_json(manifest)
    else:
        from ragcun.console import say

        say(f"encoder: {experiment / 'model'}   manifest: {experiment / 'manifest.json'}")
