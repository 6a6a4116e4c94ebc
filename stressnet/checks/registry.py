"""All checks, by name: those that a fault plan asks, and those that are asked of every run."""

from __future__ import annotations

from collections.abc import Mapping

from stressnet.checks import (
    agreement,
    command,
    differs,
    discovery_storm,
    growth,
    harness,
    height,
    in_sync_honesty,
    log,
    metric,
    recovery,
    spike,
    stuck,
)
from stressnet.checks.check import Check

CHECKS: Mapping[str, Check] = {
    check.name: check
    for check in (
        stuck.CHECK,
        recovery.CHECK,
        height.CHECK,
        agreement.CHECK,
        discovery_storm.CHECK,
        in_sync_honesty.CHECK,
        metric.CHECK,
        log.CHECK,
        command.CHECK,
        growth.CHECK,
        spike.CHECK,
        differs.CHECK,
        harness.FAULTS_ACHIEVED,
        harness.NO_BYPASS,
        harness.HOST_HEALTHY,
    )
}
