CREATE TABLE public.arrivals (
    source character varying(64) NOT NULL,
    late bigint NOT NULL,
    refused bigint NOT NULL
);
CREATE TABLE public.dead_letters (
    id bigint NOT NULL,
    "time" bigint NOT NULL,
    topic character varying NOT NULL,
    reason character varying NOT NULL,
    payload bytea NOT NULL
);
CREATE SEQUENCE public.dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.dead_letters_id_seq OWNED BY public.dead_letters.id;
CREATE TABLE public.erased (
    source character varying(64) NOT NULL,
    start bigint NOT NULL,
    until bigint NOT NULL
);
CREATE TABLE public.faces (
    frame bytea NOT NULL,
    n smallint NOT NULL,
    track bigint,
    x integer NOT NULL,
    y integer NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    confidence double precision NOT NULL,
    emotion character varying(8),
    angry double precision NOT NULL,
    disgust double precision NOT NULL,
    fear double precision NOT NULL,
    happy double precision NOT NULL,
    sad double precision NOT NULL,
    surprise double precision NOT NULL,
    neutral double precision NOT NULL,
    read boolean DEFAULT true NOT NULL,
    yaw double precision,
    pitch double precision,
    roll double precision,
    eyes double precision,
    mouth double precision
)
PARTITION BY RANGE (frame);
CREATE TABLE public.faces_before (
    frame bytea NOT NULL,
    n smallint NOT NULL,
    track bigint,
    x integer NOT NULL,
    y integer NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    confidence double precision NOT NULL,
    emotion character varying(8),
    angry double precision NOT NULL,
    disgust double precision NOT NULL,
    fear double precision NOT NULL,
    happy double precision NOT NULL,
    sad double precision NOT NULL,
    surprise double precision NOT NULL,
    neutral double precision NOT NULL,
    read boolean DEFAULT true NOT NULL,
    yaw double precision,
    pitch double precision,
    roll double precision,
    eyes double precision,
    mouth double precision
);
CREATE TABLE public.faces_rest (
    frame bytea NOT NULL,
    n smallint NOT NULL,
    track bigint,
    x integer NOT NULL,
    y integer NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    confidence double precision NOT NULL,
    emotion character varying(8),
    angry double precision NOT NULL,
    disgust double precision NOT NULL,
    fear double precision NOT NULL,
    happy double precision NOT NULL,
    sad double precision NOT NULL,
    surprise double precision NOT NULL,
    neutral double precision NOT NULL,
    read boolean DEFAULT true NOT NULL,
    yaw double precision,
    pitch double precision,
    roll double precision,
    eyes double precision,
    mouth double precision
);
CREATE TABLE public.frames (
    id bytea NOT NULL,
    "time" bigint NOT NULL,
    source character varying(64) NOT NULL,
    session bytea NOT NULL,
    seq bigint NOT NULL,
    offset_s double precision,
    frame bigint NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    model character varying(100) NOT NULL,
    elapsed_ms double precision NOT NULL,
    span_s double precision,
    arrived bigint
)
PARTITION BY RANGE (id);
CREATE TABLE public.frames_before (
    id bytea NOT NULL,
    "time" bigint NOT NULL,
    source character varying(64) NOT NULL,
    session bytea NOT NULL,
    seq bigint NOT NULL,
    offset_s double precision,
    frame bigint NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    model character varying(100) NOT NULL,
    elapsed_ms double precision NOT NULL,
    span_s double precision,
    arrived bigint
);
CREATE TABLE public.frames_rest (
    id bytea NOT NULL,
    "time" bigint NOT NULL,
    source character varying(64) NOT NULL,
    session bytea NOT NULL,
    seq bigint NOT NULL,
    offset_s double precision,
    frame bigint NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    model character varying(100) NOT NULL,
    elapsed_ms double precision NOT NULL,
    span_s double precision,
    arrived bigint
);
CREATE TABLE public.gone (
    session bytea NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL
);
CREATE TABLE public.markers (
    id character varying(36) NOT NULL,
    "time" bigint NOT NULL,
    label character varying(200) NOT NULL,
    source character varying(64),
    created_by character varying(64) NOT NULL
);
CREATE TABLE public.rollups (
    seconds integer NOT NULL,
    start bigint NOT NULL,
    source character varying(64) NOT NULL,
    frames bigint NOT NULL,
    faces bigint NOT NULL,
    unclear bigint NOT NULL,
    count_angry bigint NOT NULL,
    count_disgust bigint NOT NULL,
    count_fear bigint NOT NULL,
    count_happy bigint NOT NULL,
    count_sad bigint NOT NULL,
    count_surprise bigint NOT NULL,
    count_neutral bigint NOT NULL,
    sum_angry double precision NOT NULL,
    sum_disgust double precision NOT NULL,
    sum_fear double precision NOT NULL,
    sum_happy double precision NOT NULL,
    sum_sad double precision NOT NULL,
    sum_surprise double precision NOT NULL,
    sum_neutral double precision NOT NULL,
    untimed bigint DEFAULT 0 NOT NULL,
    face_seconds double precision DEFAULT 0 NOT NULL,
    seconds_angry double precision DEFAULT 0 NOT NULL,
    seconds_disgust double precision DEFAULT 0 NOT NULL,
    seconds_fear double precision DEFAULT 0 NOT NULL,
    seconds_happy double precision DEFAULT 0 NOT NULL,
    seconds_sad double precision DEFAULT 0 NOT NULL,
    seconds_surprise double precision DEFAULT 0 NOT NULL,
    seconds_neutral double precision DEFAULT 0 NOT NULL
);
CREATE TABLE public.sources (
    source character varying(64) NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    frames bigint NOT NULL
);
CREATE TABLE public.state (
    name character varying(32) NOT NULL,
    value bigint NOT NULL
);
ALTER TABLE ONLY public.faces ATTACH PARTITION public.faces_before FOR VALUES FROM (MINVALUE) TO ('\x01a23933680000000000000000000000');
ALTER TABLE ONLY public.faces ATTACH PARTITION public.faces_rest DEFAULT;
ALTER TABLE ONLY public.frames ATTACH PARTITION public.frames_before FOR VALUES FROM (MINVALUE) TO ('\x01a23933680000000000000000000000');
ALTER TABLE ONLY public.frames ATTACH PARTITION public.frames_rest DEFAULT;
ALTER TABLE ONLY public.dead_letters ALTER COLUMN id SET DEFAULT nextval('public.dead_letters_id_seq'::regclass);
INSERT INTO public.dead_letters VALUES (1, 1795369158008904, 'mien/lobby/observations', 'no JSON', '\xff3f');
INSERT INTO public.faces_before VALUES ('\x01970000000070008000000000000002', 0, 0, 10, 20, 96, 96, 0.97, NULL, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02, true, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.faces_before VALUES ('\x01970000000070008000000000000002', 1, 1, 10, 20, 96, 96, 0.97, 'happy', 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02, true, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.faces_before VALUES ('\x01970000000070008000000000000004', 0, 0, 10, 20, 96, 96, 0.97, NULL, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02, true, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.faces_before VALUES ('\x01970000000070008000000000000005', 0, 0, 10, 20, 96, 96, 0.97, NULL, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02, true, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.faces_before VALUES ('\x01970000000070008000000000000005', 1, 1, 10, 20, 96, 96, 0.97, 'happy', 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02, true, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.frames_before VALUES ('\x01970000000070008000000000000002', 1795348880000000, 'lobby', '\x019700000000700080000000000000aa', 2, 2, 2, 640, 360, 'mien-1@3f9c2a1b', 7.9, NULL, NULL);
INSERT INTO public.frames_before VALUES ('\x01970000000070008000000000000003', 1795348920000000, 'lobby', '\x019700000000700080000000000000aa', 3, 3, 3, 640, 360, 'mien-1@3f9c2a1b', 7.9, NULL, NULL);
INSERT INTO public.frames_before VALUES ('\x01970000000070008000000000000004', 1795348960000000, 'lobby', '\x019700000000700080000000000000aa', 4, 4, 4, 640, 360, 'mien-1@3f9c2a1b', 7.9, NULL, NULL);
INSERT INTO public.frames_before VALUES ('\x01970000000070008000000000000005', 1795349000000000, 'lobby', '\x019700000000700080000000000000aa', 5, 5, 5, 640, 360, 'mien-1@3f9c2a1b', 7.9, NULL, NULL);
INSERT INTO public.markers VALUES ('01970000-0000-7000-8000-0000000000ff', 1795348860000000, 'an old marker', 'lobby', 'ada');
INSERT INTO public.rollups VALUES (60, 1795348800000000, 'lobby', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02, 1, 0.1, 0.002, 0.002, 0.002, 0.08800000000000001, 0.002, 0.002, 0.002);
INSERT INTO public.rollups VALUES (60, 1795348860000000, 'lobby', 1, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0.04, 0.04, 0.04, 1.76, 0.04, 0.04, 0.04, 2, 0.2, 0.004, 0.004, 0.004, 0.17600000000000002, 0.004, 0.004, 0.004);
INSERT INTO public.rollups VALUES (60, 1795348920000000, 'lobby', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02, 1, 0.1, 0.002, 0.002, 0.002, 0.08800000000000001, 0.002, 0.002, 0.002);
INSERT INTO public.rollups VALUES (60, 1795348980000000, 'lobby', 1, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0.04, 0.04, 0.04, 1.76, 0.04, 0.04, 0.04, 2, 0.2, 0.004, 0.004, 0.004, 0.17600000000000002, 0.004, 0.004, 0.004);
INSERT INTO public.rollups VALUES (3600, 1795348800000000, 'lobby', 6, 6, 4, 0, 0, 0, 2, 0, 0, 0, 0.12, 0.12, 0.12, 5.28, 0.12, 0.12, 0.12, 6, 0.6, 0.012, 0.012, 0.012, 0.528, 0.012, 0.012, 0.012);
INSERT INTO public.rollups VALUES (86400, 1795305600000000, 'lobby', 6, 6, 4, 0, 0, 0, 2, 0, 0, 0, 0.12, 0.12, 0.12, 5.28, 0.12, 0.12, 0.12, 6, 0.6, 0.012, 0.012, 0.012, 0.528, 0.012, 0.012, 0.012);
INSERT INTO public.sources VALUES ('lobby', 1795348800000000, 1795349000000000, 6);
INSERT INTO public.state VALUES ('prune_mark', 1795348860000000);
INSERT INTO public.state VALUES ('schema', 4);
SELECT pg_catalog.setval('public.dead_letters_id_seq', 1, true);
ALTER TABLE ONLY public.arrivals
    ADD CONSTRAINT arrivals_pkey PRIMARY KEY (source);
ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.erased
    ADD CONSTRAINT erased_pkey PRIMARY KEY (source, start, until);
ALTER TABLE ONLY public.faces
    ADD CONSTRAINT faces_pkey PRIMARY KEY (frame, n);
ALTER TABLE ONLY public.faces_before
    ADD CONSTRAINT faces_before_pkey PRIMARY KEY (frame, n);
ALTER TABLE ONLY public.faces_rest
    ADD CONSTRAINT faces_rest_pkey PRIMARY KEY (frame, n);
ALTER TABLE ONLY public.frames
    ADD CONSTRAINT frames_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.frames_before
    ADD CONSTRAINT frames_before_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.frames_rest
    ADD CONSTRAINT frames_rest_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.gone
    ADD CONSTRAINT gone_pkey PRIMARY KEY (session, first);
ALTER TABLE ONLY public.markers
    ADD CONSTRAINT markers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.rollups
    ADD CONSTRAINT rollups_pkey PRIMARY KEY (seconds, start, source);
ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_pkey PRIMARY KEY (source);
ALTER TABLE ONLY public.state
    ADD CONSTRAINT state_pkey PRIMARY KEY (name);
CREATE INDEX frames_arrived ON ONLY public.frames USING btree (arrived);
CREATE INDEX frames_before_arrived ON public.frames_before USING btree (arrived);
CREATE INDEX frames_time ON ONLY public.frames USING btree ("time");
CREATE INDEX frames_before_time ON public.frames_before USING btree ("time");
CREATE INDEX frames_rest_arrived_idx ON public.frames_rest USING btree (arrived);
CREATE INDEX frames_rest_time_idx ON public.frames_rest USING btree ("time");
ALTER INDEX public.faces_pkey ATTACH PARTITION public.faces_before_pkey;
ALTER INDEX public.faces_pkey ATTACH PARTITION public.faces_rest_pkey;
ALTER INDEX public.frames_arrived ATTACH PARTITION public.frames_before_arrived;
ALTER INDEX public.frames_pkey ATTACH PARTITION public.frames_before_pkey;
ALTER INDEX public.frames_time ATTACH PARTITION public.frames_before_time;
ALTER INDEX public.frames_arrived ATTACH PARTITION public.frames_rest_arrived_idx;
ALTER INDEX public.frames_pkey ATTACH PARTITION public.frames_rest_pkey;
ALTER INDEX public.frames_time ATTACH PARTITION public.frames_rest_time_idx;
