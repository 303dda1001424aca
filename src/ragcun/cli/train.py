"""`ragcun train`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from ragcun.cli import options


def _panel(title: str) -> Callable[..., typer.models.OptionInfo]:
    def setting(flag: str, help_: str, metavar: str | None = None) -> typer.models.OptionInfo:
        option: typer.models.OptionInfo = typer.Option(flag, help=help_, metavar=metavar, rich_help_panel=title)
        return option

    return setting


_data = _panel("Data")
_encoder = _panel("Encoder")
_loss = _panel("Loss")
_optimisation = _panel("Optimisation")
_machine = _panel("Machine")
_intervals = _panel("Intervals")


def train(
    preset: options.Preset = None,
    config: options.Config = None,
    train_data: options.TrainData = None,
    val_data: options.ValData = None,
    pretrain_data: Annotated[
        str | None, typer.Option("--pretrain-data", help="As --train-data, for stage 1 of the full strategies.")
    ] = None,
    out_of_domain: Annotated[
        list[str] | None,
        typer.Option(
            "--out-of-domain", help="Collection that is not trained on, for --interpolate auto; repeat for more."
        ),
    ] = None,
    base_model: options.BaseModel = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", "-o", help="The experiment's folder. (default: experiments/PRESET)"),
    ] = None,
    stage: Annotated[
        Literal["both", "pretrain", "finetune"], typer.Option(help="Of the full strategies: which to train.")
    ] = "both",
    load_checkpoint: Annotated[
        str | None, typer.Option("--load-checkpoint", help="Start from the weights of this encoder or experiment.")
    ] = None,
    store: options.Store = None,
    seed: options.Seed = None,
    on_error: options.OnError = None,
    json: options.Json = False,
    rows: Annotated[int | None, _data("--rows", "Take a random sample of so many pairs.")] = None,
    negatives: Annotated[int | None, _data("--negatives", "Given negatives of a pair to use. (default: all)")] = None,
    head: Annotated[str | None, _encoder("--head", "The head.", "mlp|linear|whiten|identity")] = None,
    init: Annotated[str | None, _encoder("--init", "How it starts.", "base|random")] = None,
    output_dim: Annotated[int | None, _encoder("--output-dim", "Dimension of the embeddings.")] = None,
    dropout: Annotated[float | None, _encoder("--dropout", "Between the MLP's layers.")] = None,
    whiten_power: Annotated[float | None, _encoder("--whiten-power", "Of head whiten: 0 PCA, 1 full.")] = None,
    interpolate: Annotated[
        str | None, _encoder("--interpolate", "How far what is saved goes from start to end.", "0..1|auto")
    ] = None,
    interpolate_tolerance: Annotated[
        float | None, _encoder("--interpolate-tolerance", "nDCG@10 that auto may lose on a out-of-domain collection.")
    ] = None,
    freeze_base: Annotated[bool | None, _encoder("--freeze-base/--no-freeze-base", "Train the head only.")] = None,
    freeze_early_layers: Annotated[
        int | None, _encoder("--freeze-early-layers", "Keep a trained base's embeddings and first N layers.")
    ] = None,
    max_length: Annotated[int | None, _encoder("--max-length", "Tokens the base sees. (default: its own)")] = None,
    lambda_isotropy: Annotated[float | None, _loss("--lambda-isotropy", "Weight of SIGReg.")] = None,
    lambda_reg: Annotated[float | None, _loss("--lambda-reg", "Weight of the scale regulariser.")] = None,
    lambda_distill: Annotated[
        float | None, _loss("--lambda-distill", "Weight of the term that keeps the base's similarities.")
    ] = None,
    temperature: Annotated[
        float | None, _loss("--temperature", "Divides squared distances. (default: output-dim / 10)")
    ] = None,
    learnable_temperature: Annotated[
        bool | None, _loss("--learnable-temperature/--fixed-temperature", "Train the temperature, too.")
    ] = None,
    epochs: Annotated[int | None, _optimisation("--epochs", "Passes over the pairs.")] = None,
    batch_size: Annotated[int | None, _optimisation("--batch-size", "Pairs a process and step.")] = None,
    gradient_accumulation_steps: Annotated[
        int | None, _optimisation("--gradient-accumulation-steps", "Batches an optimiser step.")
    ] = None,
    mini_batch_size: Annotated[
        int | None, _optimisation("--mini-batch-size", "Texts a trained base sees at a time (GradCache).")
    ] = None,
    learning_rate: Annotated[float | None, _optimisation("--learning-rate", "Highest learning rate.")] = None,
    base_learning_rate: Annotated[
        float | None, _optimisation("--base-learning-rate", "Of a trained base. (default: --learning-rate)")
    ] = None,
    warmup_steps: Annotated[int | None, _optimisation("--warmup-steps", "Steps of linear warm-up.")] = None,
    scheduler: Annotated[
        str | None, _optimisation("--scheduler", "Learning rate after warm-up.", "cosine|linear|constant")
    ] = None,
    weight_decay: Annotated[float | None, _optimisation("--weight-decay", "AdamW's weight decay.")] = None,
    max_grad_norm: Annotated[float | None, _optimisation("--max-grad-norm", "Clip gradients to this norm.")] = None,
    precision: Annotated[
        str | None, _machine("--precision", "In which a frozen base is computed.", "fp32|bf16|fp16")
    ] = None,
    mixed_precision: Annotated[
        str | None, _machine("--mixed-precision", "In which training computes.", "auto|no|bf16|fp16")
    ] = None,
    gradient_checkpointing: Annotated[
        bool | None,
        _machine("--gradient-checkpointing/--no-gradient-checkpointing", "Compute a trained base's activations twice."),
    ] = None,
    compile_: Annotated[bool | None, _machine("--compile/--no-compile", "Compile a trained base.")] = None,
    track: Annotated[
        list[str] | None, _intervals("--track", "Follow the history there, too; repeat.", "tensorboard|wandb|trackio")
    ] = None,
    log_interval: Annotated[int | None, _intervals("--log-interval", "Steps between lines of the history.")] = None,
    eval_interval: Annotated[
        int | None, _intervals("--eval-interval", "Steps between scores on dev. (default: each epoch)")
    ] = None,
    save_interval: Annotated[
        int | None, _intervals("--save-interval", "Steps between checkpoints. (default: each epoch)")
    ] = None,
) -> None:
    """Train a head on a frozen base, or a whole encoder.

    Settings come from defaults < preset < --config < environment (RAGCUN_TRAINING__EPOCHS=3) < flags. Flags are for
    stage 2 of the full strategies, or for stage 1 with --stage pretrain. The same command, given again, resumes an
    interrupted training and leaves a finished one as it is.
    """
    from ragcun.settings.load import load_settings

    section = "pretraining" if stage == "pretrain" else "training"
    settings = load_settings(
        preset,
        config,
        {
            "seed": seed,
            "data.train": train_data,
            "data.val": val_data,
            "data.pretrain": pretrain_data,
            "data.out_of_domain": out_of_domain or None,
            "data.on_error": on_error,
            "model.base": base_model,
            "model.head": head,
            "model.init": init,
            "model.output_dim": output_dim,
            "model.dropout": dropout,
            "model.whiten_power": whiten_power,
            "model.freeze_base": freeze_base,
            "model.freeze_early_layers": freeze_early_layers,
            "model.max_length": max_length,
            "model.precision": precision,
            f"{section}.epochs": epochs,
            f"{section}.rows": rows,
            f"{section}.batch_size": batch_size,
            f"{section}.gradient_accumulation_steps": gradient_accumulation_steps,
            f"{section}.mini_batch_size": mini_batch_size,
            f"{section}.negatives": negatives,
            f"{section}.learning_rate": learning_rate,
            f"{section}.base_learning_rate": base_learning_rate,
            f"{section}.warmup_steps": warmup_steps,
            f"{section}.scheduler": scheduler,
            f"{section}.weight_decay": weight_decay,
            f"{section}.max_grad_norm": max_grad_norm,
            f"{section}.lambda_isotropy": lambda_isotropy,
            f"{section}.lambda_reg": lambda_reg,
            f"{section}.lambda_distill": lambda_distill,
            f"{section}.temperature": temperature,
            f"{section}.learnable_temperature": learnable_temperature,
            f"{section}.interpolate": interpolate,
            f"{section}.interpolate_tolerance": interpolate_tolerance,
            f"{section}.mixed_precision": mixed_precision,
            f"{section}.gradient_checkpointing": gradient_checkpointing,
            f"{section}.compile": compile_,
            f"{section}.track": track or None,
            f"{section}.log_interval": log_interval,
            f"{section}.eval_interval": eval_interval,
            f"{section}.save_interval": save_interval,
        },
    )
    experiment = output_dir if output_dir is not None else Path("experiments") / (settings.preset or "train")
    from ragcun.distributed import join_processes
    from ragcun.pipeline.steps import prepare_data
    from ragcun.training.stages import train_stages

    processes = join_processes()
    with processes.main_process_first():
        ready = prepare_data(settings, experiment, stage)
    manifest = train_stages(ready, experiment, options.store_folder(store), load_checkpoint, stage=stage)
    processes.destroy_process_group()
    if not processes.is_main_process:
        return
    _draw(experiment)
    if json:
        options.print_json(manifest)
    else:
        from ragcun.console import say

        say(f"encoder and manifest: {experiment}")


def _draw(experiment: Path) -> None:
    """Draw the curves of a training, and of the interpolation where it was chosen."""
    from ragcun.analysis.figures import training_curves
    from ragcun.analysis.trade import interpolation_curve
    from ragcun.training.history import read_history

    history = read_history(experiment / "history.jsonl")
    if history:
        training_curves(history, experiment / "figures")
    if (experiment / "interpolation.json").is_file():
        interpolation_curve(experiment / "interpolation.json", experiment / "figures")
