"""A PyTorch training loop in several processes that write to one run: ``python train_ranks.py --ranks 2``.

The first process starts the run and logs what is true for all. Each rank attaches to it as a writer of its own, so
that no process waits for another one, and a rank that is killed loses nothing that it logged.
"""

import argparse
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import runfolio as rf


def train(rank: int, ranks: int, meeting: str, run_id: str, settings: argparse.Namespace) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    torch.manual_seed(rank)
    true_weights = torch.linspace(-1, 1, 8)
    model = DistributedDataParallel(nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=settings.lr)

    with rf.attach(run_id, writer=f"rank{rank}") as run:
        for step in range(settings.steps):
            inputs = torch.randn(64, 8)
            loss = nn.functional.mse_loss(model(inputs).squeeze(1), inputs @ true_weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log(f"rank{rank}/loss", loss.item(), step=step)

            mean = loss.detach().clone()
            dist.all_reduce(mean)
            if rank == 0:
                run.log("loss", (mean / ranks).item(), step=step)
        if rank == 0:
            with tempfile.TemporaryDirectory() as folder:
                weights = Path(folder, "weights.pt")
                torch.save(model.module.state_dict(), weights)
                run.log_artifact(weights, name="models/weights.pt")
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--lr", type=float, default=0.2)
    settings = parser.parse_args()

    with rf.start_run(project="ranks", params=vars(settings)) as run, tempfile.TemporaryDirectory() as folder:
        run.define_metric("loss", goal="min")
        meeting = str(Path(folder, "meeting"))
        mp.spawn(train, args=(settings.ranks, meeting, run.id, settings), nprocs=settings.ranks)
    print(f"run {run.id}")


if __name__ == "__main__":
    main()
