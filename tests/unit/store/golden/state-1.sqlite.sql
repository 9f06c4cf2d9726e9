BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE answers (
	owner TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	request_digest TEXT NOT NULL, 
	status BIGINT NOT NULL, 
	headers JSON NOT NULL, 
	body TEXT NOT NULL, 
	created_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_answers PRIMARY KEY (owner, "key")
);
INSERT INTO "answers" VALUES('ann','key','digest',201,'{"Location": "/x"}','{}',1763000000.0);
CREATE TABLE assets (
	kind TEXT NOT NULL, 
	id TEXT NOT NULL, 
	version_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	zone TEXT, 
	size_bytes DOUBLE, 
	num_tokens DOUBLE, 
	model JSON, 
	created_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_assets PRIMARY KEY (kind, id, version_id)
);
INSERT INTO "assets" VALUES('model','m','','M',NULL,NULL,NULL,'{"parameters": "13B"}',1763000000.0);
CREATE TABLE attempts (
	id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	main_node TEXT, 
	fencing_token BIGINT, 
	folder TEXT, 
	resumed_step BIGINT, 
	lost_seconds DOUBLE, 
	started_seconds DOUBLE NOT NULL, 
	ended_seconds DOUBLE, 
	version BIGINT NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (id), 
	CONSTRAINT fk_attempts_task_id FOREIGN KEY(task_id) REFERENCES tasks (id), 
	CONSTRAINT uq_attempts_task_id UNIQUE (task_id, number)
);
INSERT INTO "attempts" VALUES('attempt-1','task-1',1,'pending','env-001',2,NULL,NULL,NULL,1763000001.0,NULL,1);
CREATE TABLE audit (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	target TEXT NOT NULL, 
	status BIGINT NOT NULL, 
	request_id TEXT, 
	details JSON NOT NULL, 
	seconds DOUBLE NOT NULL
);
INSERT INTO "audit" VALUES(1,'ann','create','task-1',201,'r','{"a": 1}',1763000000.0);
CREATE TABLE blobs (
	digest TEXT NOT NULL, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_blobs PRIMARY KEY (digest)
);
INSERT INTO "blobs" VALUES('bd0f3624b97a2ca8af2dec370b2a1b299888c918af53f3aea51f3b60f392a0e0',X'23212F62696E2F73680AE8AEADE7BB830A');
CREATE TABLE deployment_files (
	deployment_id TEXT NOT NULL, 
	path TEXT NOT NULL, 
	is_executable BOOLEAN NOT NULL, 
	digest TEXT NOT NULL, 
	CONSTRAINT pk_deployment_files PRIMARY KEY (deployment_id, path), 
	CONSTRAINT fk_deployment_files_deployment_id FOREIGN KEY(deployment_id) REFERENCES deployments (id) ON DELETE CASCADE, 
	CONSTRAINT fk_deployment_files_digest FOREIGN KEY(digest) REFERENCES blobs (digest)
);
INSERT INTO "deployment_files" VALUES('sha256-4c7d43021d6d349c3f5e171e4a09079c358cd3cfdc3a2a71666d73cb1f1ca7ac','a.sh',1,'bd0f3624b97a2ca8af2dec370b2a1b299888c918af53f3aea51f3b60f392a0e0');
CREATE TABLE deployments (
	id TEXT NOT NULL, 
	framework TEXT NOT NULL, 
	backend TEXT NOT NULL, 
	world_size BIGINT NOT NULL, 
	job JSON NOT NULL, 
	request JSON NOT NULL, 
	prediction JSON, 
	warnings JSON NOT NULL, 
	owner TEXT NOT NULL, 
	created_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_deployments PRIMARY KEY (id)
);
INSERT INTO "deployments" VALUES('sha256-4c7d43021d6d349c3f5e171e4a09079c358cd3cfdc3a2a71666d73cb1f1ca7ac','fsdp','ssh',6,'{"model": "llama-2-7b"}','{}',NULL,'["slow"]','ann',1763000000.0);
CREATE TABLE environments (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	status TEXT NOT NULL, 
	zone TEXT NOT NULL, 
	region TEXT, 
	image TEXT, 
	gpu TEXT, 
	num_gpus BIGINT NOT NULL, 
	num_cpus BIGINT, 
	memory_bytes DOUBLE, 
	disk_bytes DOUBLE, 
	network_bytes_per_second DOUBLE, 
	num_rails BIGINT, 
	addresses JSON NOT NULL, 
	interface TEXT, 
	driver_version TEXT, 
	cuda_version TEXT, 
	nccl_version TEXT, 
	gpu_memory_bytes DOUBLE, 
	free_gpu_memory_bytes DOUBLE, 
	frameworks JSON NOT NULL, 
	health TEXT, 
	dollars_per_gpu_second DOUBLE, 
	is_preemptible BOOLEAN NOT NULL, 
	is_draining BOOLEAN NOT NULL, 
	started_seconds DOUBLE, 
	seen_seconds DOUBLE, 
	source TEXT NOT NULL, 
	created_seconds DOUBLE NOT NULL, 
	updated_seconds DOUBLE NOT NULL, 
	version BIGINT NOT NULL, 
	search_text TEXT NOT NULL, 
	framework_list TEXT NOT NULL, 
	CONSTRAINT pk_environments PRIMARY KEY (id), 
	CONSTRAINT uq_environments_name UNIQUE (name)
);
INSERT INTO "environments" VALUES('env-001','pytorch-dev-env','jupyter','running','北京可用区A',NULL,NULL,'a100-sxm4-80gb',2,16,NULL,NULL,NULL,NULL,'[]',NULL,NULL,NULL,NULL,NULL,NULL,'[]',NULL,NULL,0,0,1762600000.0,NULL,'hand',1763000000.0,1763000000.0,1,'env-001
pytorch-dev-env
jupyter
running
北京可用区a


a100-sxm4-80gb

hand
',',,');
INSERT INTO "environments" VALUES('env-002','llm-训练','custom','running','深圳可用区C',NULL,NULL,'a100-sxm4-80gb',4,32,256000000000.0,NULL,NULL,NULL,'["192.168.2.20", "node2"]',NULL,NULL,NULL,NULL,NULL,NULL,'["ddp", "fsdp"]',NULL,0.0005,1,0,NULL,NULL,'hand',1763000000.0,1763000000.0,1,'env-002
llm-训练
custom
running
深圳可用区c


a100-sxm4-80gb

hand

192.168.2.20
node2
ddp
fsdp',',ddp,fsdp,');
CREATE TABLE events (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind TEXT NOT NULL, 
	subject_id TEXT NOT NULL, 
	body JSON NOT NULL, 
	seconds DOUBLE NOT NULL
);
INSERT INTO "events" VALUES(1,'task_moved','task-1','{"task_id": "task-1", "level": "task", "subject_id": "task-1", "from_state": null, "to_state": "draft", "cause_code": "asked", "cause_text": "", "actor": "ann", "seconds": 1763000000.0}',1763000000.0);
INSERT INTO "events" VALUES(2,'task_moved','task-1','{"task_id": "task-1", "level": "task", "subject_id": "task-1", "from_state": "draft", "to_state": "validated", "cause_code": "checked", "cause_text": "Nothing is wrong.", "actor": "server", "seconds": 1763000000.25}',1763000000.25);
INSERT INTO "events" VALUES(3,'task_moved','task-1','{"task_id": "task-1", "level": "attempt", "subject_id": "attempt-1", "from_state": null, "to_state": "pending", "cause_code": "claimed", "cause_text": "", "actor": "worker", "seconds": 1763000001.0}',1763000001.0);
INSERT INTO "events" VALUES(4,'task_moved','task-1','{"task_id": "task-1", "level": "zone", "subject_id": "part-1", "from_state": null, "to_state": "pending", "cause_code": "planned", "cause_text": "", "actor": "worker", "seconds": 1763000001.0}',1763000001.0);
INSERT INTO "events" VALUES(5,'task_moved','task-1','{"task_id": "task-1", "level": "node", "subject_id": "part-2", "from_state": null, "to_state": "pending", "cause_code": "planned", "cause_text": "", "actor": "worker", "seconds": 1763000001.0}',1763000001.0);
CREATE TABLE leases (
	name TEXT NOT NULL, 
	holder TEXT, 
	fencing_token BIGINT NOT NULL, 
	expires_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_leases PRIMARY KEY (name)
);
INSERT INTO "leases" VALUES('scheduler','b',2,1763000003.0);
CREATE TABLE operations (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	progress_fraction DOUBLE, 
	request JSON NOT NULL, 
	result JSON, 
	problem JSON, 
	is_cancel_asked BOOLEAN NOT NULL, 
	owner TEXT NOT NULL, 
	created_seconds DOUBLE NOT NULL, 
	updated_seconds DOUBLE NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT pk_operations PRIMARY KEY (id)
);
INSERT INTO "operations" VALUES('operation-1','plan','working',0.25,'{}',NULL,NULL,0,'',1763000000.0,1763000000.0,1);
CREATE TABLE parts (
	id TEXT NOT NULL, 
	attempt_id TEXT NOT NULL, 
	level TEXT NOT NULL, 
	name TEXT NOT NULL, 
	parent_id TEXT, 
	state TEXT NOT NULL, 
	seen_seconds DOUBLE, 
	details JSON NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT pk_parts PRIMARY KEY (id), 
	CONSTRAINT fk_parts_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id), 
	CONSTRAINT fk_parts_parent_id FOREIGN KEY(parent_id) REFERENCES parts (id) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT uq_parts_attempt_id UNIQUE (attempt_id, level, name)
);
INSERT INTO "parts" VALUES('part-1','attempt-1','zone','北京可用区A',NULL,'pending',NULL,'{}',1);
INSERT INTO "parts" VALUES('part-2','attempt-1','node','env-001','part-1','pending',NULL,'{"address": "10.0.0.1"}',1);
CREATE TABLE queue (
	id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	action TEXT NOT NULL, 
	priority BIGINT NOT NULL, 
	not_before_seconds DOUBLE NOT NULL, 
	holder TEXT, 
	fencing_token BIGINT, 
	created_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_queue PRIMARY KEY (id), 
	CONSTRAINT fk_queue_task_id FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
CREATE TABLE quotas (
	owner TEXT NOT NULL, 
	resource TEXT NOT NULL, 
	most DOUBLE NOT NULL, 
	CONSTRAINT pk_quotas PRIMARY KEY (owner, resource)
);
INSERT INTO "quotas" VALUES('ann','gpus',8.5);
CREATE TABLE reservations (
	environment_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	attempt_id TEXT NOT NULL, 
	fencing_token BIGINT NOT NULL, 
	created_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_reservations PRIMARY KEY (environment_id, kind, number), 
	CONSTRAINT fk_reservations_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id), 
	CONSTRAINT fk_reservations_environment_id FOREIGN KEY(environment_id) REFERENCES environments (id)
);
INSERT INTO "reservations" VALUES('env-001','gpu',0,'attempt-1',2,1763000000.0);
CREATE TABLE runs (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	task_id TEXT, 
	attempt_id TEXT, 
	fingerprint TEXT, 
	job JSON NOT NULL, 
	"plan" JSON, 
	prediction JSON, 
	measurement JSON, 
	owner TEXT NOT NULL, 
	created_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id), 
	CONSTRAINT fk_runs_task_id FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "runs" VALUES('run-1','r','predicted',NULL,NULL,NULL,'{"model": "x"}',NULL,'{"step_seconds": 1.5}',NULL,'',1763000000.0);
CREATE TABLE task_environments (
	task_id TEXT NOT NULL, 
	environment_id TEXT NOT NULL, 
	CONSTRAINT pk_task_environments PRIMARY KEY (task_id, environment_id), 
	CONSTRAINT fk_task_environments_environment_id FOREIGN KEY(environment_id) REFERENCES environments (id) ON DELETE CASCADE, 
	CONSTRAINT fk_task_environments_task_id FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "task_environments" VALUES('task-1','env-001');
INSERT INTO "task_environments" VALUES('task-1','env-002');
CREATE TABLE tasks (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	state TEXT NOT NULL, 
	launch_mode TEXT NOT NULL, 
	request JSON NOT NULL, 
	job JSON, 
	nodes JSON NOT NULL, 
	main_node TEXT, 
	framework TEXT, 
	num_gpus BIGINT NOT NULL, 
	prediction JSON, 
	warnings JSON NOT NULL, 
	deployment_id TEXT, 
	priority BIGINT NOT NULL, 
	budget_dollars DOUBLE, 
	is_stop_asked BOOLEAN NOT NULL, 
	owner TEXT NOT NULL, 
	created_seconds DOUBLE NOT NULL, 
	updated_seconds DOUBLE NOT NULL, 
	ended_seconds DOUBLE, 
	version BIGINT NOT NULL, 
	search_text TEXT NOT NULL, 
	CONSTRAINT pk_tasks PRIMARY KEY (id), 
	CONSTRAINT fk_tasks_deployment_id FOREIGN KEY(deployment_id) REFERENCES deployments (id)
);
INSERT INTO "tasks" VALUES('task-1','任务','validated','existing','{"taskName": "\u4efb\u52a1", "none": null}','{"model": "llama-2-7b"}','[{"environment_id": "env-001", "name": "pytorch-dev-env", "zone": "\u5317\u4eac\u53ef\u7528\u533aA", "node_rank": 0, "first_rank": 0, "num_ranks": 2}, {"environment_id": "env-002", "name": "llm-\u8bad\u7ec3", "zone": "\u6df1\u5733\u53ef\u7528\u533aC", "node_rank": 1, "first_rank": 2, "num_ranks": 4}]','env-001','fsdp',6,NULL,'["w"]','sha256-4c7d43021d6d349c3f5e171e4a09079c358cd3cfdc3a2a71666d73cb1f1ca7ac',0,NULL,0,'ann',1763000000.0,1763000000.25,NULL,2,'task-1
任务
fsdp');
CREATE TABLE tokens (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	created_seconds DOUBLE NOT NULL, 
	expires_seconds DOUBLE, 
	revoked_seconds DOUBLE, 
	CONSTRAINT pk_tokens PRIMARY KEY (id), 
	CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
INSERT INTO "tokens" VALUES('token-1','me','a2c810e2dcbbd94376bf737b94fc31f3ddb53205ab97dd122ea00645f9d7ce7a','admin',1763000000.0,NULL,NULL);
CREATE TABLE transitions (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	task_id TEXT NOT NULL, 
	level TEXT NOT NULL, 
	subject_id TEXT NOT NULL, 
	from_state TEXT, 
	to_state TEXT NOT NULL, 
	cause_code TEXT NOT NULL, 
	cause_text TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	seconds DOUBLE NOT NULL, 
	CONSTRAINT fk_transitions_task_id FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "transitions" VALUES(1,'task-1','task','task-1',NULL,'draft','asked','','ann',1763000000.0);
INSERT INTO "transitions" VALUES(2,'task-1','task','task-1','draft','validated','checked','Nothing is wrong.','server',1763000000.25);
INSERT INTO "transitions" VALUES(3,'task-1','attempt','attempt-1',NULL,'pending','claimed','','worker',1763000001.0);
INSERT INTO "transitions" VALUES(4,'task-1','zone','part-1',NULL,'pending','planned','','worker',1763000001.0);
INSERT INTO "transitions" VALUES(5,'task-1','node','part-2',NULL,'pending','planned','','worker',1763000001.0);
CREATE TABLE zone_links (
	from_zone TEXT NOT NULL, 
	to_zone TEXT NOT NULL, 
	path JSON NOT NULL, 
	source TEXT NOT NULL, 
	seen_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_zone_links PRIMARY KEY (from_zone, to_zone)
);
INSERT INTO "zone_links" VALUES('北京可用区A','深圳可用区C','{"bandwidth": "10 Gbit/s", "rtt": "30 ms"}','hand',1763000000.0);
CREATE INDEX ix_answers_created_seconds ON answers (created_seconds);
CREATE INDEX ix_events_subject_id ON events (subject_id);
CREATE INDEX ix_operations_state ON operations (state);
CREATE INDEX ix_tasks_state ON tasks (state);
CREATE INDEX ix_queue_order ON queue (priority, not_before_seconds);
CREATE INDEX ix_transitions_subject_id ON transitions (subject_id);
CREATE INDEX ix_transitions_task_id ON transitions (task_id);
CREATE TRIGGER no_update_of_transitions BEFORE UPDATE ON transitions BEGIN SELECT RAISE(ABORT, 'rows of transitions are never changed'); END;
CREATE TRIGGER no_update_of_audit BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'rows of audit are never changed'); END;
CREATE TRIGGER no_update_of_deployments BEFORE UPDATE ON deployments BEGIN SELECT RAISE(ABORT, 'rows of deployments are never changed'); END;
CREATE TRIGGER no_update_of_deployment_files BEFORE UPDATE ON deployment_files BEGIN SELECT RAISE(ABORT, 'rows of deployment_files are never changed'); END;
CREATE TRIGGER no_update_of_blobs BEFORE UPDATE ON blobs BEGIN SELECT RAISE(ABORT, 'rows of blobs are never changed'); END;
CREATE TRIGGER no_delete_of_transitions BEFORE DELETE ON transitions BEGIN SELECT RAISE(ABORT, 'rows of transitions are never deleted'); END;
CREATE TRIGGER no_delete_of_audit BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'rows of audit are never deleted'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('transitions',5);
INSERT INTO "sqlite_sequence" VALUES('events',5);
INSERT INTO "sqlite_sequence" VALUES('audit',1);
COMMIT;
