"""Where a real pool differs from what the pools' conformance suite asks for: each test, with the reason."""

from __future__ import annotations

_RULES = "the schedd refuses to hold a completed or removed job"
_SPOOL_HOLD = "the schedd's own hold while it puts files in place counts in NumHolds"
_COUNT = "counted are the jobs that were given to the pool, until a sweep finds that they have left"
_REASON = "the schedd has no action without a reason; the gateway says 'via SOAP'"
_SYSTEM = "the schedd does not know a system hold made by a user"
_PHASES = "the unit that accepts jobs sees them no earlier than everybody: they are in the schedd, hidden"
_NUMBERS = "the procs of a cluster have to be numbered from 0 without gaps, as newJob numbers them"
_SHADOW = "the ad of a job that has just begun to run lacks counters that its shadow sends later"
_ORDER = "the collector's tables have no order"
_SLOW = "after a hold or a vacate the schedd lets the job rest for longer than the suite waits"

_SWEEP = "the sandbox of a job that left by itself goes with the next sweep"
_AGAIN = "the work of a unit is run again when the pool has answered, so that it may not remember former runs"

DIFFERENCES = {
    "test_a_completed_job_that_nothing_keeps_leaves_with_its_files": _SWEEP,
    "test_a_unit_that_fails_leaves_no_job_and_no_event": _AGAIN,
    "test_a_completed_job_can_be_held": _RULES,
    "test_a_job_removed_and_then_held_goes_back_to_removed": _RULES,
    "test_periodic_hold_and_release": _SPOOL_HOLD,
    "test_a_completed_job_leaves_when_it_was_collected": _COUNT,
    "test_a_user_hold_is_no_system_hold": _REASON,
    "test_an_idle_job_is_held": _SYSTEM,
    "test_a_job_is_seen_by_others_only_when_its_unit_is_committed": _PHASES,
    "test_several_clusters_are_accepted_together": _NUMBERS,
    "test_a_job_runs_and_completes": _SHADOW,
    "test_an_expired_ad_is_not_there": _ORDER,
    "test_ads_are_invalidated_one_by_one_or_all": _ORDER,
    "test_a_released_job_runs_again": _SLOW,
    "test_a_vacated_job_runs_again": _SLOW,
    "test_a_running_job_is_suspended_and_goes_on": _SLOW,
}

CLIENTS = {
    "test_own_ad_of_njs_wrapper": "the schedd moves Iwd into its own spool",
}
"""The same for the tests of clients' habits."""

_MOVED = "the schedd moves Iwd into its own spool"
_CLOCK = "the clocks of the schedd and of the collector cannot be stepped"
_NEGOTIATORS = "a collector of today keeps the ads of several negotiators"

CONFORMANCE = {
    "test_default_lifetime": _CLOCK,
    "test_own_lifetime": _CLOCK,
    "test_last_heard_from": _CLOCK,
    "test_an_inserted_negotiator_is_the_only_one": _NEGOTIATORS,
    "test_an_inserted_ad_replaces_the_pool_s_own": "all tests share the pool: none takes its machine away",
    "test_other_key": "the collector knows a machine by its name alone",
    "test_types_are_the_client_s": "the collector tells the kinds of ads apart by their MyType",
    "test_submitters_are_those_with_jobs": "the schedd tells the collector of its submitters now and then",
    "test_reals_of_full_precision": "HTCondor writes reals with 16 digits",
    "test_hold_without_reason": _REASON,
    "test_remove_without_reason": _REASON,
    "test_hold_in_other_states[htcondor-completed]": _RULES,
    "test_hold_a_removed_job": _RULES,
    "test_a_name_with_a_blank": "a blank ends a name of TransferInput for the schedd",
    "test_files_of_a_job_that_kept_leave_in_queue_time": _CLOCK,
    "test_reasons_are_kept_as_they_are[htcondor-two\\nlines]": "the schedd keeps a reason in one line",
    "test_appendix_a_version": "only getVersionString and getPlatformString ask the pool for its own",
    "test_own_ad_without_a_template": _MOVED,
    "test_iwd": _MOVED,
    "test_no_transfer_input": "the schedd keeps no empty TransferInput",
    "test_nice_user": "User is the schedd's to say, and it knows no nice-user",
    "test_template_round_trip": "attributes of the job's life are the schedd's to say",
}
"""The same for the tests of the SOAP interface, some of them with one of their parameters."""
