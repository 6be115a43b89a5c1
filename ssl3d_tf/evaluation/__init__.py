"""Cases to scores, tables, statistics, figures and the report, from files alone; nothing here trains."""
