"""The memory that a run has taken, for its record."""
import sys

try:
    import resource
except ImportError:                                        # Windows
    resource = None  # type: ignore[assignment]


def peak_memory_bytes() -> int:
    """The most memory this process has held so far, in bytes.

    >>> peak_memory_bytes() > 10_000_000                     # PyTorch alone takes more
    True
    """
    if resource is None:
        import psutil  # a need of the library on Windows only
        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kilobytes
