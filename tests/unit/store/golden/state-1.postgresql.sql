--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: no_delete_of_audit(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.no_delete_of_audit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'rows of audit are never deleted' USING ERRCODE = 'integrity_constraint_violation'; END $$;


--
-- Name: no_delete_of_transitions(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.no_delete_of_transitions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'rows of transitions are never deleted' USING ERRCODE = 'integrity_constraint_violation'; END $$;


--
-- Name: no_update_of_audit(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.no_update_of_audit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'rows of audit are never changed' USING ERRCODE = 'integrity_constraint_violation'; END $$;


--
-- Name: no_update_of_blobs(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.no_update_of_blobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'rows of blobs are never changed' USING ERRCODE = 'integrity_constraint_violation'; END $$;


--
-- Name: no_update_of_deployment_files(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.no_update_of_deployment_files() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'rows of deployment_files are never changed' USING ERRCODE = 'integrity_constraint_violation'; END $$;


--
-- Name: no_update_of_deployments(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.no_update_of_deployments() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'rows of deployments are never changed' USING ERRCODE = 'integrity_constraint_violation'; END $$;


--
-- Name: no_update_of_transitions(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.no_update_of_transitions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'rows of transitions are never changed' USING ERRCODE = 'integrity_constraint_violation'; END $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: answers; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.answers (
    owner text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    request_digest text NOT NULL COLLATE pg_catalog."C",
    status bigint NOT NULL,
    headers json NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    created_seconds double precision NOT NULL
);


--
-- Name: assets; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.assets (
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    version_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    zone text COLLATE pg_catalog."C",
    size_bytes double precision,
    num_tokens double precision,
    model json,
    created_seconds double precision NOT NULL
);


--
-- Name: attempts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.attempts (
    id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    main_node text COLLATE pg_catalog."C",
    fencing_token bigint,
    folder text COLLATE pg_catalog."C",
    resumed_step bigint,
    lost_seconds double precision,
    started_seconds double precision NOT NULL,
    ended_seconds double precision,
    version bigint NOT NULL
);


--
-- Name: audit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit (
    sequence bigint NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    status bigint NOT NULL,
    request_id text COLLATE pg_catalog."C",
    details json NOT NULL,
    seconds double precision NOT NULL
);


--
-- Name: audit_sequence_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.audit_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: audit_sequence_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.audit_sequence_seq OWNED BY public.audit.sequence;


--
-- Name: blobs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.blobs (
    digest text NOT NULL COLLATE pg_catalog."C",
    content bytea NOT NULL
);


--
-- Name: deployment_files; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.deployment_files (
    deployment_id text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    is_executable boolean NOT NULL,
    digest text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: deployments; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.deployments (
    id text NOT NULL COLLATE pg_catalog."C",
    framework text NOT NULL COLLATE pg_catalog."C",
    backend text NOT NULL COLLATE pg_catalog."C",
    world_size bigint NOT NULL,
    job json NOT NULL,
    request json NOT NULL,
    prediction json,
    warnings json NOT NULL,
    owner text NOT NULL COLLATE pg_catalog."C",
    created_seconds double precision NOT NULL
);


--
-- Name: environments; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.environments (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    zone text NOT NULL COLLATE pg_catalog."C",
    region text COLLATE pg_catalog."C",
    image text COLLATE pg_catalog."C",
    gpu text COLLATE pg_catalog."C",
    num_gpus bigint NOT NULL,
    num_cpus bigint,
    memory_bytes double precision,
    disk_bytes double precision,
    network_bytes_per_second double precision,
    num_rails bigint,
    addresses json NOT NULL,
    interface text COLLATE pg_catalog."C",
    driver_version text COLLATE pg_catalog."C",
    cuda_version text COLLATE pg_catalog."C",
    nccl_version text COLLATE pg_catalog."C",
    gpu_memory_bytes double precision,
    free_gpu_memory_bytes double precision,
    frameworks json NOT NULL,
    health text COLLATE pg_catalog."C",
    dollars_per_gpu_second double precision,
    is_preemptible boolean NOT NULL,
    is_draining boolean NOT NULL,
    started_seconds double precision,
    seen_seconds double precision,
    source text NOT NULL COLLATE pg_catalog."C",
    created_seconds double precision NOT NULL,
    updated_seconds double precision NOT NULL,
    version bigint NOT NULL,
    search_text text NOT NULL COLLATE pg_catalog."C",
    framework_list text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events (
    sequence bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    subject_id text NOT NULL COLLATE pg_catalog."C",
    body json NOT NULL,
    seconds double precision NOT NULL
);


--
-- Name: events_sequence_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.events_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: events_sequence_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.events_sequence_seq OWNED BY public.events.sequence;


--
-- Name: leases; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.leases (
    name text NOT NULL COLLATE pg_catalog."C",
    holder text COLLATE pg_catalog."C",
    fencing_token bigint NOT NULL,
    expires_seconds double precision NOT NULL
);


--
-- Name: operations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.operations (
    id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    progress_fraction double precision,
    request json NOT NULL,
    result json,
    problem json,
    is_cancel_asked boolean NOT NULL,
    owner text NOT NULL COLLATE pg_catalog."C",
    created_seconds double precision NOT NULL,
    updated_seconds double precision NOT NULL,
    version bigint NOT NULL
);


--
-- Name: parts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parts (
    id text NOT NULL COLLATE pg_catalog."C",
    attempt_id text NOT NULL COLLATE pg_catalog."C",
    level text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    parent_id text COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    seen_seconds double precision,
    details json NOT NULL,
    version bigint NOT NULL
);


--
-- Name: queue; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.queue (
    id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    priority bigint NOT NULL,
    not_before_seconds double precision NOT NULL,
    holder text COLLATE pg_catalog."C",
    fencing_token bigint,
    created_seconds double precision NOT NULL
);


--
-- Name: quotas; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.quotas (
    owner text NOT NULL COLLATE pg_catalog."C",
    resource text NOT NULL COLLATE pg_catalog."C",
    most double precision NOT NULL
);


--
-- Name: reservations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.reservations (
    environment_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    attempt_id text NOT NULL COLLATE pg_catalog."C",
    fencing_token bigint NOT NULL,
    created_seconds double precision NOT NULL
);


--
-- Name: runs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.runs (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    task_id text COLLATE pg_catalog."C",
    attempt_id text COLLATE pg_catalog."C",
    fingerprint text COLLATE pg_catalog."C",
    job json NOT NULL,
    plan json,
    prediction json,
    measurement json,
    owner text NOT NULL COLLATE pg_catalog."C",
    created_seconds double precision NOT NULL
);


--
-- Name: task_environments; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.task_environments (
    task_id text NOT NULL COLLATE pg_catalog."C",
    environment_id text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: tasks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tasks (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    launch_mode text NOT NULL COLLATE pg_catalog."C",
    request json NOT NULL,
    job json,
    nodes json NOT NULL,
    main_node text COLLATE pg_catalog."C",
    framework text COLLATE pg_catalog."C",
    num_gpus bigint NOT NULL,
    prediction json,
    warnings json NOT NULL,
    deployment_id text COLLATE pg_catalog."C",
    priority bigint NOT NULL,
    budget_dollars double precision,
    is_stop_asked boolean NOT NULL,
    owner text NOT NULL COLLATE pg_catalog."C",
    created_seconds double precision NOT NULL,
    updated_seconds double precision NOT NULL,
    ended_seconds double precision,
    version bigint NOT NULL,
    search_text text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: tokens; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tokens (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    created_seconds double precision NOT NULL,
    expires_seconds double precision,
    revoked_seconds double precision
);


--
-- Name: transitions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.transitions (
    sequence bigint NOT NULL,
    task_id text NOT NULL COLLATE pg_catalog."C",
    level text NOT NULL COLLATE pg_catalog."C",
    subject_id text NOT NULL COLLATE pg_catalog."C",
    from_state text COLLATE pg_catalog."C",
    to_state text NOT NULL COLLATE pg_catalog."C",
    cause_code text NOT NULL COLLATE pg_catalog."C",
    cause_text text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    seconds double precision NOT NULL
);


--
-- Name: transitions_sequence_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.transitions_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: transitions_sequence_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.transitions_sequence_seq OWNED BY public.transitions.sequence;


--
-- Name: zone_links; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.zone_links (
    from_zone text NOT NULL COLLATE pg_catalog."C",
    to_zone text NOT NULL COLLATE pg_catalog."C",
    path json NOT NULL,
    source text NOT NULL COLLATE pg_catalog."C",
    seen_seconds double precision NOT NULL
);


--
-- Name: audit sequence; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit ALTER COLUMN sequence SET DEFAULT nextval('public.audit_sequence_seq'::regclass);


--
-- Name: events sequence; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ALTER COLUMN sequence SET DEFAULT nextval('public.events_sequence_seq'::regclass);


--
-- Name: transitions sequence; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.transitions ALTER COLUMN sequence SET DEFAULT nextval('public.transitions_sequence_seq'::regclass);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version VALUES ('0001');


--
-- Data for Name: answers; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.answers VALUES ('ann', 'key', 'digest', 201, '{"Location": "/x"}', '{}', 1763000000);


--
-- Data for Name: assets; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.assets VALUES ('model', 'm', '', 'M', NULL, NULL, NULL, '{"parameters": "13B"}', 1763000000);


--
-- Data for Name: attempts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.attempts VALUES ('attempt-1', 'task-1', 1, 'pending', 'env-001', 2, NULL, NULL, NULL, 1763000001, NULL, 1);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES (1, 'ann', 'create', 'task-1', 201, 'r', '{"a": 1}', 1763000000);


--
-- Data for Name: blobs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.blobs VALUES ('bd0f3624b97a2ca8af2dec370b2a1b299888c918af53f3aea51f3b60f392a0e0', '\x23212f62696e2f73680ae8aeade7bb830a');


--
-- Data for Name: deployment_files; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.deployment_files VALUES ('sha256-4c7d43021d6d349c3f5e171e4a09079c358cd3cfdc3a2a71666d73cb1f1ca7ac', 'a.sh', true, 'bd0f3624b97a2ca8af2dec370b2a1b299888c918af53f3aea51f3b60f392a0e0');


--
-- Data for Name: deployments; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.deployments VALUES ('sha256-4c7d43021d6d349c3f5e171e4a09079c358cd3cfdc3a2a71666d73cb1f1ca7ac', 'fsdp', 'ssh', 6, '{"model": "llama-2-7b"}', '{}', NULL, '["slow"]', 'ann', 1763000000);


--
-- Data for Name: environments; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.environments VALUES ('env-001', 'pytorch-dev-env', 'jupyter', 'running', '北京可用区A', NULL, NULL, 'a100-sxm4-80gb', 2, 16, NULL, NULL, NULL, NULL, '[]', NULL, NULL, NULL, NULL, NULL, NULL, '[]', NULL, NULL, false, false, 1762600000, NULL, 'hand', 1763000000, 1763000000, 1, 'env-001
pytorch-dev-env
jupyter
running
北京可用区a


a100-sxm4-80gb

hand
', ',,');
INSERT INTO public.environments VALUES ('env-002', 'llm-训练', 'custom', 'running', '深圳可用区C', NULL, NULL, 'a100-sxm4-80gb', 4, 32, 256000000000, NULL, NULL, NULL, '["192.168.2.20", "node2"]', NULL, NULL, NULL, NULL, NULL, NULL, '["ddp", "fsdp"]', NULL, 0.0005, true, false, NULL, NULL, 'hand', 1763000000, 1763000000, 1, 'env-002
llm-训练
custom
running
深圳可用区c


a100-sxm4-80gb

hand

192.168.2.20
node2
ddp
fsdp', ',ddp,fsdp,');


--
-- Data for Name: events; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.events VALUES (1, 'task_moved', 'task-1', '{"task_id": "task-1", "level": "task", "subject_id": "task-1", "from_state": null, "to_state": "draft", "cause_code": "asked", "cause_text": "", "actor": "ann", "seconds": 1763000000.0}', 1763000000);
INSERT INTO public.events VALUES (2, 'task_moved', 'task-1', '{"task_id": "task-1", "level": "task", "subject_id": "task-1", "from_state": "draft", "to_state": "validated", "cause_code": "checked", "cause_text": "Nothing is wrong.", "actor": "server", "seconds": 1763000000.25}', 1763000000.25);
INSERT INTO public.events VALUES (3, 'task_moved', 'task-1', '{"task_id": "task-1", "level": "attempt", "subject_id": "attempt-1", "from_state": null, "to_state": "pending", "cause_code": "claimed", "cause_text": "", "actor": "worker", "seconds": 1763000001.0}', 1763000001);
INSERT INTO public.events VALUES (4, 'task_moved', 'task-1', '{"task_id": "task-1", "level": "zone", "subject_id": "part-1", "from_state": null, "to_state": "pending", "cause_code": "planned", "cause_text": "", "actor": "worker", "seconds": 1763000001.0}', 1763000001);
INSERT INTO public.events VALUES (5, 'task_moved', 'task-1', '{"task_id": "task-1", "level": "node", "subject_id": "part-2", "from_state": null, "to_state": "pending", "cause_code": "planned", "cause_text": "", "actor": "worker", "seconds": 1763000001.0}', 1763000001);


--
-- Data for Name: leases; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.leases VALUES ('scheduler', 'b', 2, 1763000003);


--
-- Data for Name: operations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.operations VALUES ('operation-1', 'plan', 'working', 0.25, '{}', NULL, NULL, false, '', 1763000000, 1763000000, 1);


--
-- Data for Name: parts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.parts VALUES ('part-1', 'attempt-1', 'zone', '北京可用区A', NULL, 'pending', NULL, '{}', 1);
INSERT INTO public.parts VALUES ('part-2', 'attempt-1', 'node', 'env-001', 'part-1', 'pending', NULL, '{"address": "10.0.0.1"}', 1);


--
-- Data for Name: queue; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: quotas; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.quotas VALUES ('ann', 'gpus', 8.5);


--
-- Data for Name: reservations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.reservations VALUES ('env-001', 'gpu', 0, 'attempt-1', 2, 1763000000);


--
-- Data for Name: runs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.runs VALUES ('run-1', 'r', 'predicted', NULL, NULL, NULL, '{"model": "x"}', NULL, '{"step_seconds": 1.5}', NULL, '', 1763000000);


--
-- Data for Name: task_environments; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.task_environments VALUES ('task-1', 'env-001');
INSERT INTO public.task_environments VALUES ('task-1', 'env-002');


--
-- Data for Name: tasks; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.tasks VALUES ('task-1', '任务', 'validated', 'existing', '{"taskName": "\u4efb\u52a1", "none": null}', '{"model": "llama-2-7b"}', '[{"environment_id": "env-001", "name": "pytorch-dev-env", "zone": "\u5317\u4eac\u53ef\u7528\u533aA", "node_rank": 0, "first_rank": 0, "num_ranks": 2}, {"environment_id": "env-002", "name": "llm-\u8bad\u7ec3", "zone": "\u6df1\u5733\u53ef\u7528\u533aC", "node_rank": 1, "first_rank": 2, "num_ranks": 4}]', 'env-001', 'fsdp', 6, NULL, '["w"]', 'sha256-4c7d43021d6d349c3f5e171e4a09079c358cd3cfdc3a2a71666d73cb1f1ca7ac', 0, NULL, false, 'ann', 1763000000, 1763000000.25, NULL, 2, 'task-1
任务
fsdp');


--
-- Data for Name: tokens; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.tokens VALUES ('token-1', 'me', 'a2c810e2dcbbd94376bf737b94fc31f3ddb53205ab97dd122ea00645f9d7ce7a', 'admin', 1763000000, NULL, NULL);


--
-- Data for Name: transitions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.transitions VALUES (1, 'task-1', 'task', 'task-1', NULL, 'draft', 'asked', '', 'ann', 1763000000);
INSERT INTO public.transitions VALUES (2, 'task-1', 'task', 'task-1', 'draft', 'validated', 'checked', 'Nothing is wrong.', 'server', 1763000000.25);
INSERT INTO public.transitions VALUES (3, 'task-1', 'attempt', 'attempt-1', NULL, 'pending', 'claimed', '', 'worker', 1763000001);
INSERT INTO public.transitions VALUES (4, 'task-1', 'zone', 'part-1', NULL, 'pending', 'planned', '', 'worker', 1763000001);
INSERT INTO public.transitions VALUES (5, 'task-1', 'node', 'part-2', NULL, 'pending', 'planned', '', 'worker', 1763000001);


--
-- Data for Name: zone_links; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.zone_links VALUES ('北京可用区A', '深圳可用区C', '{"bandwidth": "10 Gbit/s", "rtt": "30 ms"}', 'hand', 1763000000);


--
-- Name: audit_sequence_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.audit_sequence_seq', 1, true);


--
-- Name: events_sequence_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.events_sequence_seq', 5, true);


--
-- Name: transitions_sequence_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.transitions_sequence_seq', 5, true);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: answers pk_answers; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.answers
    ADD CONSTRAINT pk_answers PRIMARY KEY (owner, key);


--
-- Name: assets pk_assets; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.assets
    ADD CONSTRAINT pk_assets PRIMARY KEY (kind, id, version_id);


--
-- Name: attempts pk_attempts; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT pk_attempts PRIMARY KEY (id);


--
-- Name: audit pk_audit; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (sequence);


--
-- Name: blobs pk_blobs; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT pk_blobs PRIMARY KEY (digest);


--
-- Name: deployment_files pk_deployment_files; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deployment_files
    ADD CONSTRAINT pk_deployment_files PRIMARY KEY (deployment_id, path);


--
-- Name: deployments pk_deployments; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deployments
    ADD CONSTRAINT pk_deployments PRIMARY KEY (id);


--
-- Name: environments pk_environments; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.environments
    ADD CONSTRAINT pk_environments PRIMARY KEY (id);


--
-- Name: events pk_events; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (sequence);


--
-- Name: leases pk_leases; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT pk_leases PRIMARY KEY (name);


--
-- Name: operations pk_operations; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.operations
    ADD CONSTRAINT pk_operations PRIMARY KEY (id);


--
-- Name: parts pk_parts; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parts
    ADD CONSTRAINT pk_parts PRIMARY KEY (id);


--
-- Name: queue pk_queue; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.queue
    ADD CONSTRAINT pk_queue PRIMARY KEY (id);


--
-- Name: quotas pk_quotas; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.quotas
    ADD CONSTRAINT pk_quotas PRIMARY KEY (owner, resource);


--
-- Name: reservations pk_reservations; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT pk_reservations PRIMARY KEY (environment_id, kind, number);


--
-- Name: runs pk_runs; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT pk_runs PRIMARY KEY (id);


--
-- Name: task_environments pk_task_environments; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task_environments
    ADD CONSTRAINT pk_task_environments PRIMARY KEY (task_id, environment_id);


--
-- Name: tasks pk_tasks; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT pk_tasks PRIMARY KEY (id);


--
-- Name: tokens pk_tokens; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT pk_tokens PRIMARY KEY (id);


--
-- Name: transitions pk_transitions; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.transitions
    ADD CONSTRAINT pk_transitions PRIMARY KEY (sequence);


--
-- Name: zone_links pk_zone_links; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.zone_links
    ADD CONSTRAINT pk_zone_links PRIMARY KEY (from_zone, to_zone);


--
-- Name: attempts uq_attempts_task_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT uq_attempts_task_id UNIQUE (task_id, number);


--
-- Name: environments uq_environments_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.environments
    ADD CONSTRAINT uq_environments_name UNIQUE (name);


--
-- Name: parts uq_parts_attempt_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parts
    ADD CONSTRAINT uq_parts_attempt_id UNIQUE (attempt_id, level, name);


--
-- Name: tokens uq_tokens_digest; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT uq_tokens_digest UNIQUE (digest);


--
-- Name: ix_answers_created_seconds; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_answers_created_seconds ON public.answers USING btree (created_seconds);


--
-- Name: ix_events_subject_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_events_subject_id ON public.events USING btree (subject_id);


--
-- Name: ix_operations_state; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_operations_state ON public.operations USING btree (state);


--
-- Name: ix_queue_order; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_queue_order ON public.queue USING btree (priority, not_before_seconds);


--
-- Name: ix_tasks_state; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_tasks_state ON public.tasks USING btree (state);


--
-- Name: ix_transitions_subject_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_transitions_subject_id ON public.transitions USING btree (subject_id);


--
-- Name: ix_transitions_task_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_transitions_task_id ON public.transitions USING btree (task_id);


--
-- Name: audit no_delete_of_audit; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER no_delete_of_audit BEFORE DELETE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.no_delete_of_audit();


--
-- Name: transitions no_delete_of_transitions; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER no_delete_of_transitions BEFORE DELETE ON public.transitions FOR EACH ROW EXECUTE FUNCTION public.no_delete_of_transitions();


--
-- Name: audit no_update_of_audit; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER no_update_of_audit BEFORE UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.no_update_of_audit();


--
-- Name: blobs no_update_of_blobs; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER no_update_of_blobs BEFORE UPDATE ON public.blobs FOR EACH ROW EXECUTE FUNCTION public.no_update_of_blobs();


--
-- Name: deployment_files no_update_of_deployment_files; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER no_update_of_deployment_files BEFORE UPDATE ON public.deployment_files FOR EACH ROW EXECUTE FUNCTION public.no_update_of_deployment_files();


--
-- Name: deployments no_update_of_deployments; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER no_update_of_deployments BEFORE UPDATE ON public.deployments FOR EACH ROW EXECUTE FUNCTION public.no_update_of_deployments();


--
-- Name: transitions no_update_of_transitions; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER no_update_of_transitions BEFORE UPDATE ON public.transitions FOR EACH ROW EXECUTE FUNCTION public.no_update_of_transitions();


--
-- Name: attempts fk_attempts_task_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT fk_attempts_task_id FOREIGN KEY (task_id) REFERENCES public.tasks(id);


--
-- Name: deployment_files fk_deployment_files_deployment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deployment_files
    ADD CONSTRAINT fk_deployment_files_deployment_id FOREIGN KEY (deployment_id) REFERENCES public.deployments(id) ON DELETE CASCADE;


--
-- Name: deployment_files fk_deployment_files_digest; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deployment_files
    ADD CONSTRAINT fk_deployment_files_digest FOREIGN KEY (digest) REFERENCES public.blobs(digest);


--
-- Name: parts fk_parts_attempt_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parts
    ADD CONSTRAINT fk_parts_attempt_id FOREIGN KEY (attempt_id) REFERENCES public.attempts(id);


--
-- Name: parts fk_parts_parent_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parts
    ADD CONSTRAINT fk_parts_parent_id FOREIGN KEY (parent_id) REFERENCES public.parts(id) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: queue fk_queue_task_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.queue
    ADD CONSTRAINT fk_queue_task_id FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;


--
-- Name: reservations fk_reservations_attempt_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT fk_reservations_attempt_id FOREIGN KEY (attempt_id) REFERENCES public.attempts(id);


--
-- Name: reservations fk_reservations_environment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT fk_reservations_environment_id FOREIGN KEY (environment_id) REFERENCES public.environments(id);


--
-- Name: runs fk_runs_attempt_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT fk_runs_attempt_id FOREIGN KEY (attempt_id) REFERENCES public.attempts(id);


--
-- Name: runs fk_runs_task_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT fk_runs_task_id FOREIGN KEY (task_id) REFERENCES public.tasks(id);


--
-- Name: task_environments fk_task_environments_environment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task_environments
    ADD CONSTRAINT fk_task_environments_environment_id FOREIGN KEY (environment_id) REFERENCES public.environments(id) ON DELETE CASCADE;


--
-- Name: task_environments fk_task_environments_task_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task_environments
    ADD CONSTRAINT fk_task_environments_task_id FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;


--
-- Name: tasks fk_tasks_deployment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT fk_tasks_deployment_id FOREIGN KEY (deployment_id) REFERENCES public.deployments(id);


--
-- Name: transitions fk_transitions_task_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.transitions
    ADD CONSTRAINT fk_transitions_task_id FOREIGN KEY (task_id) REFERENCES public.tasks(id);


--
-- PostgreSQL database dump complete
--


