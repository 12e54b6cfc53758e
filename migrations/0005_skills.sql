-- Recorded outcomes of checks are found by the commit they are about.
--
-- Only a request's end sets its result, and that leaves the heap-only path anyway. What a remote agent of the same skill
-- says may be of any length, so the index has no more of it than a commit id.

create index requests_check_results on guildhall.requests (left(result ->> 'revision', 64))
    where skill in ('run_checks', 'run_pipeline') and result is not null;

-- Writing an agent tells whether it is new: its function is made again with an answer.
drop function if exists guildhall.agent_put(text, text, jsonb, bigint, jsonb, text, timestamptz);
