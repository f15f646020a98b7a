/* A price as the two Redis commands that carry it: `SET :last` and `PUBLISH :price`.

   The payload is the map that core/wire.py describes, byte for byte what its encoder writes; what
   does not fit in here goes to the function that uses it. */

#include "native.h"

#define MOST_TEXT 256           /* of one text in a payload */
#define MOST_PAYLOAD 2048       /* four texts, and all the rest, fit well */
#define EXACT (INT64_C(1) << 53) /* a double holds every whole number up to here */

typedef struct {
    PyObject_HEAD
    PyObject *plain;  /* (outlet, quote, session, seq, now_ns) -> bytes */
    PyObject *session;
    PyTypeObject *outlet_type, *quote_type;
    Py_ssize_t last_start, price_start, market, platform;
    Py_ssize_t bid, bid_size, ask, ask_size, last_price, status, source, event_ns, recv_ns;
} Prices;

/* Where the next byte goes. */
typedef struct {
    char *at;
} Out;

static void put_bytes(Out *out, const char *bytes, size_t length)
{
    memcpy(out->at, bytes, length);
    out->at += length;
}

static void put_big_endian(Out *out, uint64_t value, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        *out->at++ = (char)(value >> shift);
}

static void put_tagged(Out *out, unsigned char tag, uint64_t value, int bytes)
{
    *out->at++ = (char)tag;
    put_big_endian(out, value, bytes);
}

/* The shortest form, as msgpack asks for; these are never negative. */
static void put_int(Out *out, int64_t value)
{
    if (value < 0x80)
        *out->at++ = (char)value;
    else if (value <= 0xff)
        put_tagged(out, 0xcc, (uint64_t)value, 1);
    else if (value <= 0xffff)
        put_tagged(out, 0xcd, (uint64_t)value, 2);
    else if (value <= 0xffffffff)
        put_tagged(out, 0xce, (uint64_t)value, 4);
    else
        put_tagged(out, 0xcf, (uint64_t)value, 8);
}

static void put_float(Out *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_tagged(out, 0xcb, bits, 8);
}

static void put_text(Out *out, const char *text, size_t length)
{
    if (length < 32)
        *out->at++ = (char)(0xa0 | length);
    else
        put_tagged(out, 0xd9, length, 1);
    put_bytes(out, text, length);
}

#define PUT_KEY(out, key) put_text(out, key, sizeof(key) - 1)

/* A text of a moderate length. DECLINED, DONE or FAILED. */
static int put_string(Out *out, PyObject *string, int is_member)
{
    Py_ssize_t length;
    const char *text;

    /* A member of a StrEnum is a text, and is of another type than a mere text. */
    if (string == NULL || !PyUnicode_Check(string) || PyUnicode_CheckExact(string) == is_member)
        return DECLINED;
    text = PyUnicode_AsUTF8AndSize(string, &length);
    if (text == NULL)
        return FAILED;
    if (length >= MOST_TEXT)
        return DECLINED;
    put_text(out, text, (size_t)length);
    return DONE;
}

static int put_number(Out *out, PyObject *number)
{
    int64_t value;

    if (!int64_of(number, &value) || value < 0)
        return DECLINED;
    put_int(out, value);
    return DONE;
}

/* A whole number of units as the nearest double: both are exact, so dividing rounds but once. */
static int put_share(Out *out, PyObject *number, int64_t units, int64_t most)
{
    int64_t value;

    if (!int64_of(number, &value) || value < 0 || value > most)
        return DECLINED;
    put_float(out, (double)value / (double)units);
    return DONE;
}

static int put_last_price(Out *out, PyObject *price)
{
    if (price != Py_None)
        return put_share(out, price, ONE_DOLLAR, ONE_DOLLAR);
    *out->at++ = (char)0xc0;
    return DONE;
}

#define TRY(step)               \
    do {                        \
        int done = (step);      \
        if (done != DONE)       \
            return done;        \
    } while (0)

static int put_price(const Prices *self, Out *out, PyObject *outlet, PyObject *quote, PyObject *seq,
                     PyObject *now_ns)
{
    *out->at++ = (char)0x8f; /* a map of fifteen */
    PUT_KEY(out, "v");
    put_int(out, 1);
    PUT_KEY(out, "market_id");
    TRY(put_string(out, SLOT(outlet, self->market), 0));
    PUT_KEY(out, "platform");
    TRY(put_string(out, SLOT(outlet, self->platform), 0));
    PUT_KEY(out, "yes_bid");
    TRY(put_share(out, SLOT(quote, self->bid), ONE_DOLLAR, ONE_DOLLAR));
    PUT_KEY(out, "yes_ask");
    TRY(put_share(out, SLOT(quote, self->ask), ONE_DOLLAR, ONE_DOLLAR));
    PUT_KEY(out, "yes_bid_size");
    TRY(put_share(out, SLOT(quote, self->bid_size), ONE_CONTRACT, EXACT));
    PUT_KEY(out, "yes_ask_size");
    TRY(put_share(out, SLOT(quote, self->ask_size), ONE_CONTRACT, EXACT));
    PUT_KEY(out, "last_price");
    TRY(put_last_price(out, SLOT(quote, self->last_price)));
    PUT_KEY(out, "status");
    TRY(put_string(out, SLOT(quote, self->status), 1));
    PUT_KEY(out, "source");
    TRY(put_string(out, SLOT(quote, self->source), 1));
    PUT_KEY(out, "session");
    TRY(put_number(out, self->session));
    PUT_KEY(out, "seq");
    TRY(put_number(out, seq));
    PUT_KEY(out, "ts_event_ns");
    TRY(put_number(out, SLOT(quote, self->event_ns)));
    PUT_KEY(out, "ts_recv_ns");
    TRY(put_number(out, SLOT(quote, self->recv_ns)));
    PUT_KEY(out, "ts_pub_ns");
    return put_number(out, now_ns);
}

/* One command: what it begins with, the length of its last word, and that word. */
static void put_command(Out *out, PyObject *start, const char *word, size_t length, const char *size,
                        size_t size_length)
{
    put_bytes(out, PyBytes_AS_STRING(start), (size_t)PyBytes_GET_SIZE(start));
    put_bytes(out, size, size_length);
    put_bytes(out, "\r\n", 2);
    put_bytes(out, word, length);
    put_bytes(out, "\r\n", 2);
}

static PyObject *both_commands(PyObject *first, PyObject *second, const char *word, size_t length)
{
    char size[24];
    int size_length = PyOS_snprintf(size, sizeof size, "%zu", length);
    Py_ssize_t each = size_length + 4 + (Py_ssize_t)length;
    PyObject *commands = PyBytes_FromStringAndSize(
        NULL, PyBytes_GET_SIZE(first) + PyBytes_GET_SIZE(second) + 2 * each);
    Out out;

    if (commands == NULL)
        return NULL;
    out.at = PyBytes_AS_STRING(commands);
    put_command(&out, first, word, length, size, (size_t)size_length);
    put_command(&out, second, word, length, size, (size_t)size_length);
    return commands;
}

static int fits(const Prices *self, PyObject *outlet, PyObject *quote)
{
    PyObject *first, *second;

    if (!Py_IS_TYPE(outlet, self->outlet_type) || !Py_IS_TYPE(quote, self->quote_type))
        return DECLINED;
    first = SLOT(outlet, self->last_start);
    second = SLOT(outlet, self->price_start);
    return first != NULL && PyBytes_CheckExact(first) && second != NULL &&
           PyBytes_CheckExact(second);
}

PyDoc_STRVAR(commands_doc,
             "commands(outlet, quote, seq, now_ns) -> bytes\n\n"
             "Return the commands that carry a quote.");

static PyObject *prices_commands(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    Prices *self = (Prices *)object;
    char payload[MOST_PAYLOAD];
    Out out = {payload};
    int done;

    if (count != 4 || self->plain == NULL) {
        PyErr_SetString(PyExc_TypeError, "commands() takes outlet, quote, seq, now_ns");
        return NULL;
    }
    done = fits(self, args[0], args[1]);
    if (done == DONE)
        done = put_price(self, &out, args[0], args[1], args[2], args[3]);
    if (done == FAILED)
        return NULL;
    if (done == DECLINED)
        return PyObject_CallFunctionObjArgs(self->plain, args[0], args[1], self->session, args[2],
                                            args[3], NULL);
    return both_commands(SLOT(args[0], self->last_start), SLOT(args[0], self->price_start), payload,
                         (size_t)(out.at - payload));
}

static int find_slots(Prices *self, PyObject *outlet, PyObject *quote)
{
    if (slot_offset(outlet, "last_start", &self->last_start) == FAILED ||
        slot_offset(outlet, "price_start", &self->price_start) == FAILED ||
        slot_offset(outlet, "market", &self->market) == FAILED ||
        slot_offset(outlet, "platform", &self->platform) == FAILED ||
        slot_offset(quote, "bid", &self->bid) == FAILED ||
        slot_offset(quote, "bid_size", &self->bid_size) == FAILED ||
        slot_offset(quote, "ask", &self->ask) == FAILED ||
        slot_offset(quote, "ask_size", &self->ask_size) == FAILED ||
        slot_offset(quote, "last_price", &self->last_price) == FAILED ||
        slot_offset(quote, "status", &self->status) == FAILED ||
        slot_offset(quote, "source", &self->source) == FAILED ||
        slot_offset(quote, "ts_event_ns", &self->event_ns) == FAILED ||
        slot_offset(quote, "ts_recv_ns", &self->recv_ns) == FAILED)
        return FAILED;
    return DONE;
}

static int prices_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    Prices *self = (Prices *)object;
    PyObject *outlet, *quote, *session, *plain;

    if (self->plain != NULL) {
        PyErr_SetString(PyExc_TypeError, "Prices() was called before");
        return FAILED;
    }
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "Prices() takes no named arguments");
        return FAILED;
    }
    if (!PyArg_ParseTuple(args, "O!O!O!O", &PyType_Type, &outlet, &PyType_Type, &quote, &PyLong_Type,
                          &session, &plain) ||
        find_slots(self, outlet, quote) == FAILED)
        return FAILED;
    self->plain = Py_NewRef(plain);
    self->session = Py_NewRef(session);
    self->outlet_type = (PyTypeObject *)Py_NewRef(outlet);
    self->quote_type = (PyTypeObject *)Py_NewRef(quote);
    return 0;
}

static int prices_traverse(PyObject *object, visitproc visit, void *arg)
{
    Prices *self = (Prices *)object;

    Py_VISIT(self->plain);
    Py_VISIT(self->session);
    Py_VISIT(self->outlet_type);
    Py_VISIT(self->quote_type);
    return 0;
}

static int prices_clear(PyObject *object)
{
    Prices *self = (Prices *)object;

    Py_CLEAR(self->plain);
    Py_CLEAR(self->session);
    Py_CLEAR(self->outlet_type);
    Py_CLEAR(self->quote_type);
    return 0;
}

static void prices_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    prices_clear(object);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef prices_methods[] = {
    {"commands", (PyCFunction)(void (*)(void))prices_commands, METH_FASTCALL, commands_doc},
    {NULL},
};

PyTypeObject PricesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "arbees_feed.native._compiled.Prices",
    .tp_doc = "Prices(Outlet, Quote, session, plain): the commands that carry quotes.",
    .tp_basicsize = sizeof(Prices),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = prices_init,
    .tp_dealloc = prices_dealloc,
    .tp_traverse = prices_traverse,
    .tp_clear = prices_clear,
    .tp_methods = prices_methods,
};
