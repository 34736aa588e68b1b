DROP INDEX requests_by_response;
