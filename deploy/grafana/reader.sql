-- Who may read what the boards show: sums, sources, markers and dead letters, and no single face. Run it as the owner
-- of Mien's database, once its tables are there: psql -d mien -v password=… -f reader.sql
CREATE ROLE mien_reader LOGIN PASSWORD :'password' CONNECTION LIMIT 20;
ALTER ROLE mien_reader SET default_transaction_read_only = on;
ALTER ROLE mien_reader SET statement_timeout = '30s';
GRANT USAGE ON SCHEMA public TO mien_reader;
GRANT SELECT ON rollups, sources, arrivals, markers TO mien_reader;
GRANT SELECT (id, time, topic, reason) ON dead_letters TO mien_reader;
