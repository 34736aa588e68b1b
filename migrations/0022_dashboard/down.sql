DROP TABLE audit_events;
DROP TABLE dashboard_links;
DROP TABLE dashboard_sessions;
