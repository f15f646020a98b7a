/* Changes of levels, applied to the books of core/book.py and feed/market.py as they are.

   The objects stay those of Python and are read and written where their slots lie, so whoever looks
   at a book from Python sees it as ever. Handled here is the plain case: a market whose book is
   live and comes over this very connection, and a level that does not fall below zero. Everything
   else is declined before anything was changed. */

#include "native.h"

typedef struct {
    PyObject_HEAD
    PyObject *markets;  /* market id -> Market */
    PyObject *settle;   /* called with a Market whose top may have changed, and the time */
    PyObject *live;     /* the state of a book that can be trusted */
    PyTypeObject *market_type, *book_type, *ladder_type;
    Py_ssize_t book, book_link, changes, ts_ns, state, bids, asks, keys, sizes;
} Levels;

/* What is needed of a market to apply a change to it: new references, for whoever hears of a frame
   may drop the market. */
typedef struct {
    PyObject *market, *keys, *sizes;
    int64_t changes;
} Place;

/* All prices there are, as ints; made when first met, and kept. */
static PyObject *prices[ONE_DOLLAR];

static PyObject *price_as_int(long price)
{
    if (prices[price] == NULL)
        prices[price] = PyLong_FromLong(price);
    return prices[price];
}

static int64_t key_at(PyObject *keys, Py_ssize_t index)
{
    int64_t key;

    return int64_of(PyList_GET_ITEM(keys, index), &key) ? key : -1;
}

/* The first index of ascending keys whose key is not below the one given. */
static Py_ssize_t index_of(PyObject *keys, int64_t key)
{
    Py_ssize_t low = 0, high = PyList_GET_SIZE(keys);

    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (key_at(keys, middle) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Find market and side; only if DONE, `let_go` is due. DECLINED, DONE or FAILED. */
static int find(Levels *self, const Delta *delta, PyObject *link, Place *place)
{
    PyObject *id = PyUnicode_DecodeLatin1(delta->market, delta->market_length, NULL);
    PyObject *book, *ladder;

    if (id == NULL)
        return FAILED;
    place->market = PyDict_GetItemWithError(self->markets, id);
    Py_DECREF(id);
    if (place->market == NULL)
        return PyErr_Occurred() ? FAILED : DECLINED;
    if (!Py_IS_TYPE(place->market, self->market_type) ||
        SLOT(place->market, self->book_link) != link ||
        !int64_of(SLOT(place->market, self->changes), &place->changes))
        return DECLINED;
    book = SLOT(place->market, self->book);
    if (book == NULL || !Py_IS_TYPE(book, self->book_type) || SLOT(book, self->state) != self->live)
        return DECLINED;
    ladder = SLOT(book, delta->is_no ? self->asks : self->bids);
    if (ladder == NULL || !Py_IS_TYPE(ladder, self->ladder_type))
        return DECLINED;
    place->keys = SLOT(ladder, self->keys);
    place->sizes = SLOT(ladder, self->sizes);
    if (place->keys == NULL || !PyList_CheckExact(place->keys) || place->sizes == NULL ||
        !PyDict_CheckExact(place->sizes))
        return DECLINED;
    Py_INCREF(place->market);
    Py_INCREF(place->keys);
    Py_INCREF(place->sizes);
    return DONE;
}

static void let_go(const Place *place)
{
    Py_DECREF(place->market);
    Py_DECREF(place->keys);
    Py_DECREF(place->sizes);
}

static int put_level(const Place *place, PyObject *key, int64_t price, int64_t size, int is_new)
{
    PyObject *number = PyLong_FromLongLong(size);
    int failed = number == NULL || PyDict_SetItem(place->sizes, key, number) < 0;

    Py_XDECREF(number);
    if (!failed && is_new)
        failed = PyList_Insert(place->keys, index_of(place->keys, price), key) < 0;
    return failed ? FAILED : DONE;
}

static int remove_level(const Place *place, PyObject *key, Py_ssize_t index)
{
    if (PyDict_DelItem(place->sizes, key) < 0 ||
        PyList_SetSlice(place->keys, index, index + 1, NULL) < 0)
        return FAILED;
    return DONE;
}

/* Change a level; *is_best: it is, or was, the best one. DECLINED, DONE or FAILED. */
static int change(const Place *place, const Delta *delta, int *is_best)
{
    PyObject *key = price_as_int(delta->price), *known;
    Py_ssize_t index, count;
    int64_t before = 0, after;

    if (key == NULL)
        return FAILED;
    known = PyDict_GetItemWithError(place->sizes, key);
    if (known == NULL && PyErr_Occurred())
        return FAILED;
    if (known != NULL && !int64_of(known, &before))
        return DECLINED;
    /* A change is far below half of what fits (deltas.c). */
    if (before > INT64_MAX / 2 || before < -delta->change)
        return DECLINED;
    after = before + delta->change;
    count = PyList_GET_SIZE(place->keys);
    if (after > 0) {
        *is_best = count == 0 || delta->price >= key_at(place->keys, count - 1);
        return put_level(place, key, delta->price, after, known == NULL);
    }
    if (count == 0)
        return DECLINED;
    *is_best = key_at(place->keys, count - 1) == delta->price;
    index = *is_best ? count - 1 : index_of(place->keys, delta->price);
    if (index >= count || key_at(place->keys, index) != delta->price)
        return DECLINED;
    return remove_level(place, key, index);
}

static int keep_frame(PyObject *keep, PyObject *recv_ns, PyObject *frame)
{
    PyObject *entry, *nothing;

    if (keep == Py_None)
        return DONE;
    entry = PyTuple_Pack(2, recv_ns, frame);
    if (entry == NULL)
        return FAILED;
    nothing = PyObject_CallOneArg(keep, entry);
    Py_DECREF(entry);
    Py_XDECREF(nothing);
    return nothing == NULL ? FAILED : DONE;
}

static int settle(Levels *self, PyObject *market, PyObject *recv_ns)
{
    PyObject *arguments[3] = {NULL, market, recv_ns}, *nothing;

    nothing = PyObject_Vectorcall(self->settle, arguments + 1,
                                  2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(nothing);
    return nothing == NULL ? FAILED : DONE;
}

typedef struct {
    PyObject *deltas, *link, *recv_ns, *keep;
} Run;

static int apply(Levels *self, const Run *run, PyObject *frame, const Delta *delta,
                 const Place *place)
{
    int is_best = 0, changed = change(place, delta, &is_best);

    if (changed != DONE)
        return changed;
    if (deltas_taken(run->deltas, delta) == FAILED ||
        put_int64(&SLOT(place->market, self->changes), place->changes + 1) == FAILED ||
        put_int64(&SLOT(place->market, self->ts_ns), delta->ts_ms * 1000000) == FAILED ||
        keep_frame(run->keep, run->recv_ns, frame) == FAILED)
        return FAILED;
    return is_best ? settle(self, place->market, run->recv_ns) : DONE;
}

static int handle(Levels *self, const Run *run, PyObject *frame)
{
    Delta delta;
    Place place;
    int done = deltas_read(run->deltas, frame, &delta);

    if (done != DONE)
        return done;
    done = find(self, &delta, run->link, &place);
    if (done == DONE) {
        done = apply(self, run, frame, &delta, &place);
        let_go(&place);
    }
    Py_DECREF(delta.tracker);
    return done;
}

PyDoc_STRVAR(run_doc,
             "run(deltas, link, keep, frames, first, last, recv_ns) -> int\n\n"
             "Apply frames[first:last] up to the first that is no plain change of a level; return "
             "how many were applied.");

static PyObject *run_over(Levels *self, const Run *run, PyObject *frames, Py_ssize_t first,
                          Py_ssize_t last)
{
    Py_ssize_t at;

    for (at = first; at < last && at < PySequence_Fast_GET_SIZE(frames); at++) {
        PyObject *frame = Py_NewRef(PySequence_Fast_GET_ITEM(frames, at));
        int done = handle(self, run, frame);

        Py_DECREF(frame);
        if (done == FAILED)
            return NULL;
        if (done == DECLINED)
            break;
    }
    return PyLong_FromSsize_t(at - first);
}

static PyObject *levels_run(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    Levels *self = (Levels *)object;
    PyObject *frames, *handled;
    Py_ssize_t first, last;
    Run run;

    if (count != 7 || self->markets == NULL || !Py_IS_TYPE(args[0], &DeltasType)) {
        PyErr_SetString(PyExc_TypeError,
                        "run() takes deltas, link, keep, frames, first, last, recv_ns");
        return NULL;
    }
    run = (Run){.deltas = args[0], .link = args[1], .keep = args[2], .recv_ns = args[6]};
    first = PyLong_AsSsize_t(args[4]);
    if (first == -1 && PyErr_Occurred())
        return NULL;
    last = PyLong_AsSsize_t(args[5]);
    if (last == -1 && PyErr_Occurred())
        return NULL;
    if (first < 0) {
        PyErr_SetString(PyExc_ValueError, "first is negative");
        return NULL;
    }
    frames = PySequence_Fast(args[3], "frames are a sequence");
    if (frames == NULL)
        return NULL;
    handled = run_over(self, &run, frames, first, last);
    Py_DECREF(frames);
    return handled;
}

static int find_slots(Levels *self, PyObject *market, PyObject *book, PyObject *ladder)
{
    if (slot_offset(market, "book", &self->book) == FAILED ||
        slot_offset(market, "book_link", &self->book_link) == FAILED ||
        slot_offset(market, "changes", &self->changes) == FAILED ||
        slot_offset(market, "ts_ns", &self->ts_ns) == FAILED ||
        slot_offset(book, "state", &self->state) == FAILED ||
        slot_offset(book, "bids", &self->bids) == FAILED ||
        slot_offset(book, "asks", &self->asks) == FAILED ||
        slot_offset(ladder, "keys", &self->keys) == FAILED ||
        slot_offset(ladder, "sizes", &self->sizes) == FAILED)
        return FAILED;
    return DONE;
}

static int levels_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    Levels *self = (Levels *)object;
    PyObject *markets, *settle, *live, *market, *book, *ladder;

    if (self->markets != NULL) {
        PyErr_SetString(PyExc_TypeError, "Levels() was called before");
        return FAILED;
    }
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "Levels() takes no named arguments");
        return FAILED;
    }
    if (!PyArg_ParseTuple(args, "O!OOO!O!O!", &PyDict_Type, &markets, &settle, &live, &PyType_Type,
                          &market, &PyType_Type, &book, &PyType_Type, &ladder) ||
        find_slots(self, market, book, ladder) == FAILED)
        return FAILED;
    self->markets = Py_NewRef(markets);
    self->settle = Py_NewRef(settle);
    self->live = Py_NewRef(live);
    self->market_type = (PyTypeObject *)Py_NewRef(market);
    self->book_type = (PyTypeObject *)Py_NewRef(book);
    self->ladder_type = (PyTypeObject *)Py_NewRef(ladder);
    return 0;
}

static int levels_traverse(PyObject *object, visitproc visit, void *arg)
{
    Levels *self = (Levels *)object;

    Py_VISIT(self->markets);
    Py_VISIT(self->settle);
    Py_VISIT(self->live);
    Py_VISIT(self->market_type);
    Py_VISIT(self->book_type);
    Py_VISIT(self->ladder_type);
    return 0;
}

static int levels_clear(PyObject *object)
{
    Levels *self = (Levels *)object;

    Py_CLEAR(self->markets);
    Py_CLEAR(self->settle);
    Py_CLEAR(self->live);
    Py_CLEAR(self->market_type);
    Py_CLEAR(self->book_type);
    Py_CLEAR(self->ladder_type);
    return 0;
}

static void levels_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    levels_clear(object);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef levels_methods[] = {
    {"run", (PyCFunction)(void (*)(void))levels_run, METH_FASTCALL, run_doc},
    {NULL},
};

PyTypeObject LevelsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "arbees_feed.native._compiled.Levels",
    .tp_doc = "Levels(markets, settle, LIVE, Market, OrderBook, Ladder): changes the books.",
    .tp_basicsize = sizeof(Levels),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = levels_init,
    .tp_dealloc = levels_dealloc,
    .tp_traverse = levels_traverse,
    .tp_clear = levels_clear,
    .tp_methods = levels_methods,
};
