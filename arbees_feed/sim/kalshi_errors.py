"""Kalshi's errors on the WebSocket: codes and texts."""

BAD_JSON, PARAMS, CHANNELS_NEEDED, SIDS_NEEDED, UNKNOWN_COMMAND = 1, 2, 3, 4, 5
UNKNOWN_SID, UNKNOWN_CHANNEL, INVALID, ONE_SID = 7, 8, 11, 12
UNSUPPORTED_ACTION, TICKER_NEEDED, ACTION_NEEDED, MARKET_LIMIT = 13, 14, 15, 26

ERROR_TEXTS = {
    BAD_JSON: "Unable to process message",
    PARAMS: "Params required",
    CHANNELS_NEEDED: "Channels required",
    SIDS_NEEDED: "Subscription IDs required",
    UNKNOWN_COMMAND: "Unknown command",
    UNKNOWN_SID: "Unknown subscription ID",
    UNKNOWN_CHANNEL: "Unknown channel name",
    10: "Channel error",
    INVALID: "Invalid parameter",
    ONE_SID: "Exactly one subscription ID required",
    UNSUPPORTED_ACTION: "Unsupported action",
    TICKER_NEEDED: "Market Ticker required",
    ACTION_NEEDED: "Action required",
    18: "Command timeout",
    25: "Subscription buffer overflow",
    MARKET_LIMIT: "Per-subscription market limit exceeded",
    27: "Too many requests",
}
