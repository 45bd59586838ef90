"""What a terminal shows of a training: lines that fit, and a bar one can see."""

from tqdm import tqdm

from vae.training.progress import BAR, describe_epoch

ROW = {"epoch": 1000, "loss": -126600.44, "reconstruction_loss": -126800.44}
ROW |= {"kl_loss": 1200.0, "val_loss": -124911.44, "val_psnr": 30.384}


def test_the_line_of_an_epoch_fits_80_columns():
    line = describe_epoch(ROW, 1000, improved=True)
    assert line == (
        "epoch 1000/1000  loss -126600.4 (KL 1200.0)"
        "  held-out -124911.4, 30.38 dB  best"
    )
    assert len(line) <= 80
    assert "best" not in describe_epoch(ROW, 1000, improved=False)
    unplanned = describe_epoch(ROW, None, improved=False)
    assert unplanned.startswith("epoch 1000  loss")
    trained = {name: ROW[name] for name in ("epoch", "loss", "kl_loss")}
    assert describe_epoch(trained, 1000, True).endswith("(KL 1200.0)")


def test_the_bar_of_a_training_has_room_in_80_columns():
    shown = {"ncols": 80, "bar_format": BAR, "prefix": "epoch 501/1000"}
    shown |= {"elapsed": 7200, "initial": 0, "postfix": "KL 120.0, 30.38 dB"}
    line = tqdm.format_meter(5000, 10_000, ascii=True, **shown)
    assert len(line) <= 80 and line.startswith("epoch 501/1000  50%|")
    assert len(line.split("|")[1]) >= 20
    assert line.endswith("| 2:00:00<2:00:00, KL 120.0, 30.38 dB")
