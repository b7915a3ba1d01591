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
    neutral double precision NOT NULL
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
    elapsed_ms double precision NOT NULL
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
    abstained bigint NOT NULL,
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
    sum_neutral double precision NOT NULL
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
ALTER TABLE ONLY public.dead_letters ALTER COLUMN id SET DEFAULT nextval('public.dead_letters_id_seq'::regclass);
INSERT INTO public.dead_letters VALUES (1, 1795369158008904, 'mien/lobby/observations', 'no JSON', '\xff3f');
INSERT INTO public.faces VALUES ('\x01970000000070008000000000000002', 0, 0, 10, 20, 96, 96, 0.97, NULL, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02);
INSERT INTO public.faces VALUES ('\x01970000000070008000000000000002', 1, 1, 10, 20, 96, 96, 0.97, 'happy', 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02);
INSERT INTO public.faces VALUES ('\x01970000000070008000000000000004', 0, 0, 10, 20, 96, 96, 0.97, NULL, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02);
INSERT INTO public.faces VALUES ('\x01970000000070008000000000000005', 0, 0, 10, 20, 96, 96, 0.97, NULL, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02);
INSERT INTO public.faces VALUES ('\x01970000000070008000000000000005', 1, 1, 10, 20, 96, 96, 0.97, 'happy', 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02);
INSERT INTO public.frames VALUES ('\x01970000000070008000000000000002', 1795348880000000, 'lobby', '\x019700000000700080000000000000aa', 2, 2, 2, 640, 360, 'mien-1@3f9c2a1b', 7.9);
INSERT INTO public.frames VALUES ('\x01970000000070008000000000000003', 1795348920000000, 'lobby', '\x019700000000700080000000000000aa', 3, 3, 3, 640, 360, 'mien-1@3f9c2a1b', 7.9);
INSERT INTO public.frames VALUES ('\x01970000000070008000000000000004', 1795348960000000, 'lobby', '\x019700000000700080000000000000aa', 4, 4, 4, 640, 360, 'mien-1@3f9c2a1b', 7.9);
INSERT INTO public.frames VALUES ('\x01970000000070008000000000000005', 1795349000000000, 'lobby', '\x019700000000700080000000000000aa', 5, 5, 5, 640, 360, 'mien-1@3f9c2a1b', 7.9);
INSERT INTO public.markers VALUES ('01970000-0000-7000-8000-0000000000ff', 1795348860000000, 'an old marker', 'lobby', 'ada');
INSERT INTO public.rollups VALUES (60, 1795348800000000, 'lobby', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02);
INSERT INTO public.rollups VALUES (60, 1795348860000000, 'lobby', 1, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0.04, 0.04, 0.04, 1.76, 0.04, 0.04, 0.04);
INSERT INTO public.rollups VALUES (60, 1795348920000000, 'lobby', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02);
INSERT INTO public.rollups VALUES (60, 1795348980000000, 'lobby', 1, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0.04, 0.04, 0.04, 1.76, 0.04, 0.04, 0.04);
INSERT INTO public.rollups VALUES (3600, 1795348800000000, 'lobby', 6, 6, 4, 0, 0, 0, 2, 0, 0, 0, 0.12, 0.12, 0.12, 5.28, 0.12, 0.12, 0.12);
INSERT INTO public.rollups VALUES (86400, 1795305600000000, 'lobby', 6, 6, 4, 0, 0, 0, 2, 0, 0, 0, 0.12, 0.12, 0.12, 5.28, 0.12, 0.12, 0.12);
INSERT INTO public.sources VALUES ('lobby', 1795348800000000, 1795349000000000, 6);
INSERT INTO public.state VALUES ('schema', 3);
INSERT INTO public.state VALUES ('prune_mark', 1795348860000000);
SELECT pg_catalog.setval('public.dead_letters_id_seq', 1, true);
ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.erased
    ADD CONSTRAINT erased_pkey PRIMARY KEY (source, start, until);
ALTER TABLE ONLY public.faces
    ADD CONSTRAINT faces_pkey PRIMARY KEY (frame, n);
ALTER TABLE ONLY public.frames
    ADD CONSTRAINT frames_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.markers
    ADD CONSTRAINT markers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.rollups
    ADD CONSTRAINT rollups_pkey PRIMARY KEY (seconds, start, source);
ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_pkey PRIMARY KEY (source);
ALTER TABLE ONLY public.state
    ADD CONSTRAINT state_pkey PRIMARY KEY (name);
CREATE INDEX frames_time ON public.frames USING btree ("time");
