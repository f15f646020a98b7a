/* Kalshi's `orderbook_delta` frames, in the form in which the venue writes them.

   Whatever is not plainly so (white space, an escape, a text that is not ASCII, a number that is
   not a plain one, a field twice, a value out of bounds, a frame that is not the next of its
   subscription) is declined and read by venues/kalshi/decoder.py, which is also where each rule
   comes from. So this reads a part of what that reads, and reads it the same. */

#include "native.h"

#define NS_PER_MS 1000000LL
#define MOST_MS 9000000000000LL
#define MOST_DIGITS 17        /* of a number, so that it fits into 64 bits */
#define MOST_WHOLE_DIGITS 12  /* before the point of a size, so that lots fit too */

typedef struct {
    PyObject_HEAD
    PyObject *trackers;  /* sid -> SequenceTracker */
    PyTypeObject *tracker_type;
    Py_ssize_t last;
    long long ts_ns;
} Deltas;

typedef struct {
    const char *at, *end;
} Cursor;

/* A value: a text, or a number if text is NULL. */
typedef struct {
    const char *text;
    Py_ssize_t length;
    int64_t number;
} Value;

static int accept(Cursor *cursor, char expected)
{
    if (cursor->at >= cursor->end || *cursor->at != expected)
        return DECLINED;
    cursor->at++;
    return DONE;
}

/* A text in quotes: printable ASCII without escapes. */
static int read_text(Cursor *cursor, const char **text, Py_ssize_t *length)
{
    const char *p;

    if (!accept(cursor, '"'))
        return DECLINED;
    for (p = cursor->at; p < cursor->end && *p != '"'; p++) {
        if (*p < 0x20 || *p > 0x7e || *p == '\\')
            return DECLINED;
    }
    if (p == cursor->end)
        return DECLINED;
    *text = cursor->at;
    *length = p - cursor->at;
    cursor->at = p + 1;
    return DONE;
}

/* A whole number, not negative, that a comma or the end of the object follows. */
static int read_number(Cursor *cursor, int64_t *number)
{
    const char *p = cursor->at;
    int64_t value = 0;

    for (; p < cursor->end && *p >= '0' && *p <= '9'; p++) {
        if (p - cursor->at == MOST_DIGITS)
            return DECLINED;
        value = value * 10 + (*p - '0');
    }
    if (p == cursor->at || p == cursor->end || (*p != ',' && *p != '}'))
        return DECLINED;
    if (*cursor->at == '0' && p - cursor->at > 1)
        return DECLINED;
    cursor->at = p;
    *number = value;
    return DONE;
}

static int read_value(Cursor *cursor, Value *value)
{
    *value = (Value){0};
    if (cursor->at < cursor->end && *cursor->at == '"')
        return read_text(cursor, &value->text, &value->length);
    return read_number(cursor, &value->number);
}

static int is(const char *text, Py_ssize_t length, const char *name)
{
    return (size_t)length == strlen(name) && memcmp(text, name, (size_t)length) == 0;
}

/* Decimal text times 10**decimals: core/money.py, without its forms that no venue writes. */
static int read_scaled(const Value *value, int decimals, int64_t *scaled)
{
    const char *p = value->text, *end = p + value->length, *digits;
    int64_t told = 0;
    int is_negative;

    if (value->text == NULL)
        return DECLINED;
    is_negative = p < end && *p == '-';
    p += is_negative;
    for (digits = p; p < end && *p >= '0' && *p <= '9'; p++) {
        if (p - digits == MOST_WHOLE_DIGITS)
            return DECLINED;
        told = told * 10 + (*p - '0');
    }
    if (p == digits)
        return DECLINED;
    if (p < end) {
        if (*p != '.' || p + 1 == end)
            return DECLINED;
        for (p++; p < end; p++, decimals--) {
            if (*p < '0' || *p > '9' || decimals == 0)
                return DECLINED;
            told = told * 10 + (*p - '0');
        }
    }
    for (; decimals > 0; decimals--)
        told *= 10;
    *scaled = is_negative ? -told : told;
    return DONE;
}

static int read_side(const Value *value, int *is_no)
{
    if (value->text == NULL)
        return DECLINED;
    *is_no = is(value->text, value->length, "no");
    return *is_no || is(value->text, value->length, "yes");
}

/* Note that a field was there; a second one of the same name is declined. */
static int once(unsigned *seen, unsigned field)
{
    if (*seen & field)
        return DECLINED;
    *seen |= field;
    return DONE;
}

enum { MARKET = 1, PRICE = 2, CHANGE = 4, SIDE = 8, TIME = 16, ALL_OF_BODY = 31 };

static int take_body_field(Delta *delta, unsigned *seen, const char *key, Py_ssize_t length,
                           const Value *value)
{
    int64_t price;

    if (is(key, length, "market_ticker")) {
        delta->market = value->text;
        delta->market_length = value->length;
        return once(seen, MARKET) && value->text != NULL;
    }
    if (is(key, length, "price_dollars")) {
        if (!once(seen, PRICE) || !read_scaled(value, 4, &price))
            return DECLINED;
        delta->price = (long)price;
        return price > 0 && price < ONE_DOLLAR;
    }
    if (is(key, length, "delta_fp"))
        return once(seen, CHANGE) && read_scaled(value, 6, &delta->change) && delta->change != 0;
    if (is(key, length, "side"))
        return once(seen, SIDE) && read_side(value, &delta->is_no);
    if (is(key, length, "ts_ms")) {
        delta->ts_ms = value->number;
        return once(seen, TIME) && value->text == NULL && value->number > 0 &&
               value->number <= MOST_MS;
    }
    if (is(key, length, "ts"))
        return value->text != NULL;
    return DONE;
}

/* Go on to the next field, or see the end of an object: DECLINED, DONE, or MORE. */
enum { MORE = 2 };

static int after_field(Cursor *cursor)
{
    if (accept(cursor, ','))
        return MORE;
    return accept(cursor, '}');
}

static int read_body(Cursor *cursor, Delta *delta)
{
    unsigned seen = 0;
    int more = accept(cursor, '{') ? MORE : DECLINED;

    while (more == MORE) {
        const char *key;
        Py_ssize_t length;
        Value value;

        if (!read_text(cursor, &key, &length) || !accept(cursor, ':') ||
            !read_value(cursor, &value) || !take_body_field(delta, &seen, key, length, &value))
            return DECLINED;
        more = after_field(cursor);
    }
    return more == DONE && seen == ALL_OF_BODY;
}

enum { BODY = 1, KIND = 2, SID = 4, SEQ = 8, ALL_OF_FRAME = 15 };

static int take_frame_field(Delta *delta, unsigned *seen, const char *key, Py_ssize_t length,
                            const Value *value)
{
    if (is(key, length, "type"))
        return once(seen, KIND) && value->text != NULL &&
               is(value->text, value->length, "orderbook_delta");
    if (is(key, length, "sid")) {
        delta->sid = value->number;
        return once(seen, SID) && value->text == NULL;
    }
    if (is(key, length, "seq")) {
        delta->seq = value->number;
        return once(seen, SEQ) && value->text == NULL;
    }
    return DONE;
}

static int read_frame(Cursor *cursor, Delta *delta)
{
    unsigned seen = 0;
    int more = accept(cursor, '{') ? MORE : DECLINED;

    while (more == MORE) {
        const char *key;
        Py_ssize_t length;
        Value value;

        if (!read_text(cursor, &key, &length) || !accept(cursor, ':'))
            return DECLINED;
        if (is(key, length, "msg")) {
            if (!once(&seen, BODY) || !read_body(cursor, delta))
                return DECLINED;
        }
        else if (!read_value(cursor, &value) ||
                 !take_frame_field(delta, &seen, key, length, &value))
            return DECLINED;
        more = after_field(cursor);
    }
    return more == DONE && seen == ALL_OF_FRAME && cursor->at == cursor->end;
}

int deltas_read(PyObject *object, PyObject *frame, Delta *delta)
{
    Deltas *self = (Deltas *)object;
    PyObject *sid;
    Cursor cursor;
    int64_t last;

    if (self->trackers == NULL || !PyBytes_CheckExact(frame))
        return DECLINED;
    cursor.at = PyBytes_AS_STRING(frame);
    cursor.end = cursor.at + PyBytes_GET_SIZE(frame);
    if (!read_frame(&cursor, delta))
        return DECLINED;
    sid = PyLong_FromLongLong(delta->sid);
    if (sid == NULL)
        return FAILED;
    delta->tracker = PyDict_GetItemWithError(self->trackers, sid);
    Py_DECREF(sid);
    if (delta->tracker == NULL)
        return PyErr_Occurred() ? FAILED : DECLINED;
    if (!Py_IS_TYPE(delta->tracker, self->tracker_type) ||
        !int64_of(SLOT(delta->tracker, self->last), &last))
        return DECLINED;
    if (delta->seq - 1 != last)
        return DECLINED;
    Py_INCREF(delta->tracker);
    return DONE;
}

int deltas_taken(PyObject *object, const Delta *delta)
{
    Deltas *self = (Deltas *)object;

    self->ts_ns = delta->ts_ms * NS_PER_MS;
    return put_int64(&SLOT(delta->tracker, self->last), delta->seq);
}

static int deltas_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    Deltas *self = (Deltas *)object;
    PyObject *trackers, *tracker_type;

    if (self->trackers != NULL) {
        PyErr_SetString(PyExc_TypeError, "Deltas() was called before");
        return FAILED;
    }
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "Deltas() takes no named arguments");
        return FAILED;
    }
    if (!PyArg_ParseTuple(args, "O!O!", &PyDict_Type, &trackers, &PyType_Type, &tracker_type) ||
        slot_offset(tracker_type, "last", &self->last) == FAILED)
        return FAILED;
    self->trackers = Py_NewRef(trackers);
    self->tracker_type = (PyTypeObject *)Py_NewRef(tracker_type);
    return 0;
}

static int deltas_traverse(PyObject *object, visitproc visit, void *arg)
{
    Deltas *self = (Deltas *)object;

    Py_VISIT(self->trackers);
    Py_VISIT(self->tracker_type);
    return 0;
}

static int deltas_clear(PyObject *object)
{
    Py_CLEAR(((Deltas *)object)->trackers);
    Py_CLEAR(((Deltas *)object)->tracker_type);
    return 0;
}

static void deltas_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    deltas_clear(object);
    Py_TYPE(object)->tp_free(object);
}

static PyMemberDef deltas_members[] = {
    {"ts_ns", T_LONGLONG, offsetof(Deltas, ts_ns), READONLY,
     "Venue time of the newest change, Unix ns; 0: there was none."},
    {NULL},
};

PyTypeObject DeltasType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "arbees_feed.native._compiled.Deltas",
    .tp_doc = "Deltas(trackers, SequenceTracker): reads the book frames of a connection.",
    .tp_basicsize = sizeof(Deltas),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = deltas_init,
    .tp_dealloc = deltas_dealloc,
    .tp_traverse = deltas_traverse,
    .tp_clear = deltas_clear,
    .tp_members = deltas_members,
};
