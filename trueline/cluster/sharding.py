"""A module whose weights are sharded over the ranks of a mesh (FSDP2), put in and taken out whole.

    shard(policy, blocks, exact=[policy.value_head], mesh=mesh, dtype=torch.bfloat16)     made on the meta device
    fill(policy, whole, mesh)                     rank 0's weights go to whoever holds a part of them
    for name, tensor in gathered(policy): ...     every rank is given each weight whole, one after another

Zhao et al. 2023 (2304.11277): every rank holds 1 / S of each weight, of its gradient and of its moments. A block's weights are
gathered where it runs, in what is computed in, and freed behind it; gradients are summed in float32, each rank its part. With
replicas (HSDP) that is so within a replica, and gradients are summed over replicas too. Sums, not means: the counts that terms
are divided by are those of the whole step (algorithms 7.0 rule 7).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from trueline.cluster.mesh import Mesh


def shard(module: nn.Module, blocks: Iterable[nn.Module], exact: Iterable[nn.Module], mesh: Mesh, dtype: torch.dtype) -> None:
    """Shard a module made on the meta device: each block a unit of its own, the rest one; `exact` ones stay float32."""
    low = None if dtype == torch.float32 else dtype
    usual = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for part in exact:
        fully_shard(part, mesh=mesh.devices)
    for part in blocks:
        fully_shard(part, mesh=mesh.devices, mp_policy=usual)
    fully_shard(module, mesh=mesh.devices, mp_policy=usual, reshard_after_forward=False)  # it is needed again at once
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)  # gloo knows no other
    emptied(module, mesh.device)


def emptied(module: nn.Module, device: torch.device) -> nn.Module:
    """A module made on the meta device, with memory for its weights; those that are one in several places stay one."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            places.setdefault(id(parameter), []).append((part, name))
    module.to_empty(device=device)
    for (first, its), *others in places.values():
        for part, name in others:
            setattr(part, name, getattr(first, its))
    return module


def settled(module: nn.Module) -> nn.Module:
    """The module with every weight in shards: after a pass without a gradient some are still gathered."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()
    return module


@torch.no_grad()
def fill(module: nn.Module, whole: Mapping[str, Tensor], mesh: Mesh) -> None:
    """Give every rank its part of the weights, and all buffers, that `whole` has on rank 0; elsewhere it is empty.

    Raises RuntimeError on rank 0 where it lacks some of them: nothing else would say that they hold what memory held.
    """
    names = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    if mesh.first and (missing := [name for name in names if name not in whole]):
        raise RuntimeError(f"expected all weights of the model that ranks were told of, found no {missing[0]}")
    for name, parameter in module.named_parameters():
        put(parameter, whole.get(name), mesh)
    for name, buffer in module.named_buffers():
        mesh.shared(buffer.copy_(whole[name]) if name in whole else buffer)


@torch.no_grad()
def put(tensor: Tensor, whole: Tensor | None, mesh: Mesh) -> None:
    """Give every rank its part of rank 0's tensor: of one that is sharded a shard, else all of it."""
    given = torch.empty(tensor.shape, dtype=tensor.dtype, device=mesh.device)
    if whole is not None:
        given.copy_(whole)
    if isinstance(tensor, DTensor):
        parts = distribute_tensor(given, mesh.devices, tensor.placements, src_data_rank=0)
        tensor.to_local().copy_(parts.to_local())
    else:
        tensor.copy_(mesh.shared(given))


@torch.no_grad()
def gathered(module: nn.Module, standing: bool = True) -> Iterator[tuple[str, Tensor]]:
    """Each weight whole, on every rank at the same time; only one is held at a time. Buffers come last.

    Without `standing` what does not learn is left out.
    """
    for name, tensor in itertools.chain(module.named_parameters(), module.named_buffers()):
        if not (standing or tensor.requires_grad):
            continue
        yield name, tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def over_whole(work: Callable[[Tensor], Tensor], stack: Tensor, rows: int, mesh: Mesh) -> Tensor:
    """Do to whole matrices what `work` does, given the ranks' rows of each: (M, rows here, columns), as the result.

    Matrices are dealt out, so that each rank has some of them whole, and dealt back (two all-to-alls; gloo gathers instead).
    """
    logging.getLogger("torch.distributed.tensor._collective_utils").setLevel(logging.ERROR)  # it warns of that
    shape = torch.Size((len(stack), rows, stack.shape[2]))
    strides = (rows * stack.shape[2], stack.shape[2], 1)
    copies = [Replicate()] * (mesh.devices.ndim - 1)
    by_rows, by_matrix = [*copies, Shard(1)], [*copies, Shard(0)]
    dealt = DTensor.from_local(stack.contiguous(), mesh.devices, by_rows, run_check=False, shape=shape, stride=strides)
    mine = dealt.redistribute(placements=by_matrix).to_local()
    done = work(mine) if len(mine) else mine
    back = DTensor.from_local(done.contiguous(), mesh.devices, by_matrix, run_check=False, shape=shape, stride=strides)
    return back.redistribute(placements=by_rows).to_local()
