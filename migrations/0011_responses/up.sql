-- A call may go on with an answer that OpenAI keeps, of those that its merchant got.
CREATE INDEX requests_by_response ON requests (merchant_id, response_id) WHERE response_id LIKE 'resp\_%';
