"""Walks a traced function's graph, nested functions included, and looks at each op."""

import functools

from tensorflow.python.framework import kernels

HOST_CALLBACKS = {
    "PyFunc",
    "EagerPyFunc",
    "PyFuncStateless",
    "XlaHostCompute",
    "_XlaHostComputeMlir",
    "_HostSend",
    "_HostRecv",
    "Print",
    "PrintV2",
}
# What runs on every device without a kernel of its own: arguments of functions.
_STRUCTURE = {"Placeholder", "_Arg", "_Retval", "NoOp", "StatefulPartitionedCall"}


def nodes(concrete):
    """Nodes of a `ConcreteFunction` and of all functions that it calls, loops and branches."""
    definition = concrete.graph.as_graph_def()
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def host_callbacks(concrete):
    """Names of the ops that would call back into Python or the host."""
    return sorted({node.op for node in nodes(concrete)} & HOST_CALLBACKS)


def without_gpu_kernel(concrete):
    """(op, types) of the nodes for which TensorFlow's registry has no GPU kernel.

    The registry of the Linux wheel lists GPU kernels on machines without a GPU too; where it
    does not (`lists_gpu_kernels`), this test cannot be made.
    """
    missing = set()
    for node in nodes(concrete):
        if node.op not in _STRUCTURE and not _has_gpu_kernel(node):
            types = sorted(f"{name}={attr.type}" for name, attr in node.attr.items() if attr.type)
            missing.add((node.op, *types))
    return sorted(missing)


def lists_gpu_kernels():
    """Whether this build of TensorFlow registers GPU kernels."""
    registered = _registered("Cholesky")
    return any(kernel.device_type == "GPU" for kernel in registered)


@functools.cache  # the registry is written out and read again at every call
def _registered(op):
    return kernels.get_registered_kernels_for_op(op).kernel


def _has_gpu_kernel(node):
    registered = _registered(node.op)
    return any(
        kernel.device_type in ("GPU", "DEFAULT") and _accepts(kernel, node) for kernel in registered
    )


def _accepts(kernel, node):
    return all(
        not rule.allowed_values.list.type
        or node.attr[rule.name].type in rule.allowed_values.list.type
        or not node.attr[rule.name].type
        for rule in kernel.constraint
    )
