DROP TABLE purged_reports;
DROP TABLE purged_requests;
