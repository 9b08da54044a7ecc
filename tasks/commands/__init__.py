"""What `coderl grade`, `coderl tasks audit` and `/v1/grade` do."""
