"""A sink of one's own in the forwarder's place: observations into an SQLite file, and confirmed to their sources."""

import json
import os
import queue
import sqlite3
import time

import paho.mqtt.client as mqtt

prefix, waiting = os.environ.get("PREFIX", "mien"), queue.Queue(5000)  # full: nothing more is read from the broker
sink = sqlite3.connect(os.environ.get("SINK", "sink.db"))
sink.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
sink.execute("CREATE TABLE IF NOT EXISTS observations (id TEXT PRIMARY KEY, source TEXT, payload BLOB)")
sink.execute("CREATE TABLE IF NOT EXISTS set_aside (topic TEXT, payload BLOB)")
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "my-sink", clean_session=False, manual_ack=True)
client.username_pw_set(os.environ.get("MQTT_USERNAME"), os.environ.get("MQTT_PASSWORD"))
client.on_connect = lambda *_: client.subscribe([(f"{prefix}/+/observations", 1), (f"{prefix}/+/available", 1)])
client.on_message = lambda _client, _data, message: waiting.put(message)
client.connect_async(os.environ.get("MQTT_HOST", "127.0.0.1"), int(os.environ.get("MQTT_PORT", "1883")), keepalive=10)
client.loop_start()
while True:
    batch = [waiting.get()]
    time.sleep(0.1)  # more come meanwhile, and one commit is for all of them
    batch += [waiting.get() for _ in range(min(499, waiting.qsize()))]
    done = {}
    with sink:  # 1. keep all of it, on the disk, each id once
        for message in batch:
            _, source, kind = message.topic.rsplit("/", 2)
            try:
                if kind == "available":  # retained: the source was there first, and is asked to send again
                    done |= {(source, "00000000-0000-7000-8000-000000000000"): []} if message.retain else {}
                    client.publish(f"{prefix}/{source}/accepts", '{"record": 2}', qos=1, retain=True)
                    continue
                row = json.loads(message.payload)
                done.setdefault((source, str(row["session"])), []).append([int(row["seq"])] * 2)
                if row["source"] != source:
                    raise ValueError(row["source"])
                values = str(row["id"]), source, message.payload
                sink.execute("INSERT OR IGNORE INTO observations VALUES (?, ?, ?)", values)
            except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):  # no observation
                sink.execute("INSERT INTO set_aside VALUES (?, ?)", (message.topic, message.payload))
    for (source, session), ranges in done.items():  # 2. the source may forget it
        client.publish(f"{prefix}/{source}/stored", json.dumps({"session": session, "ranges": ranges}), qos=1)
    for message in batch:  # 3. the broker may, too
        client.ack(message.mid, message.qos)
