"""All benchmarks, by their names: a line for each."""

from collections.abc import Mapping

from benchmarks.base import Benchmark
from benchmarks.blas import BlasShare
from benchmarks.curvature import CurvatureSamples
from benchmarks.demo import DigitsDemo, Kin8nmDemo, SortedDigitsDemo
from benchmarks.empty_round import EmptyRound
from benchmarks.feature_statistics import Statistics
from benchmarks.hostile import Floods, Liars
from benchmarks.kin8nm import Kin8nm
from benchmarks.living import DigitsUpdate, Kin8nmUpdate, UnseenDigitsUpdate
from benchmarks.masks import Masks
from benchmarks.membership import Membership
from benchmarks.memory import Memory
from benchmarks.network_curvature import NetworkCurvature
from benchmarks.own_model import OwnModel
from benchmarks.reading import Reading
from benchmarks.ring import Ring
from benchmarks.scale import OneThousand, OneThousandLong, TenThousand
from benchmarks.sparsity import Sparsity
from benchmarks.transport import RoundTrip, Shares
from benchmarks.wide import Wide
from benchmarks.wire import Wire
from benchmarks.work_memory import WorkMemory
from benchmarks.workers import Workers

BENCHMARKS: Mapping[str, type[Benchmark]] = {
    benchmark.name: benchmark
    for benchmark in (
        *(BlasShare, Workers, CurvatureSamples, Wide, WorkMemory, Memory, OwnModel, Kin8nm, NetworkCurvature, Sparsity),
        *(Shares, RoundTrip, Ring, EmptyRound, Wire),
        *(DigitsDemo, SortedDigitsDemo, Kin8nmDemo),
        *(DigitsUpdate, UnseenDigitsUpdate, Kin8nmUpdate),
        *(OneThousand, OneThousandLong, TenThousand, Membership, Statistics, Masks, Reading),
        *(Floods, Liars),
    )
}
