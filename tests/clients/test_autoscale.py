"""What formulas are told of the nodes of a pool, by plain HTTP."""

import pytest
import raw
from steps import IMAGE, nodes, until


@pytest.fixture
def batch(kiln):
    return raw.batch_of(kiln)


def evaluated(batch, pool, formula):
    """The variables of the formula after it was tried."""
    path = "/pools/{}/evaluateautoscale".format(pool)
    run = batch.request("POST", path, {"autoScaleFormula": formula}).json
    assert "error" not in run, run
    return dict(pair.split("=", 1) for pair in run["results"].split(";"))


def test_a_preempted_node_is_one_of_the_current_ones(batch, suffix):
    pool = "spot-" + suffix
    body = {
        "id": pool,
        "vmSize": "standard_d2_v3",
        "virtualMachineConfiguration": IMAGE,
        "enableAutoScale": True,
        "autoScaleFormula": "$TargetDedicatedNodes = 0; $TargetLowPriorityNodes = 1",
    }
    assert batch.request("POST", "/pools", body).status == 201
    until(lambda: [it["state"] for it in nodes(batch, pool)] == ["idle"])
    formula = "now = $CurrentLowPriorityNodes; gone = $PreemptedNodeCount; usable = $UsableNodeCount"
    before = evaluated(batch, pool, formula)
    assert (before["now"], before["gone"], before["usable"]) == ("1", "0", "1"), before
    path = "/kiln/pools/{}/nodes/{}/preempt".format(pool, nodes(batch, pool)[0]["id"])
    assert batch.request("POST", path, {}).status == 202
    until(lambda: [it["state"] for it in nodes(batch, pool)] == ["preempted"])
    after = evaluated(batch, pool, formula)
    assert (after["now"], after["gone"], after["usable"]) == ("1", "1", "0"), after
    assert batch.request("DELETE", "/pools/" + pool).status == 202
    until(lambda: batch.request("GET", "/pools/" + pool).status == 404)
