/* What the parts of the compiled path share. Each function that may decline says so: what it
   declines is left as it was, and goes the way written in Python. */

#ifndef ARBEES_NATIVE_H
#define ARBEES_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdint.h>
#include <string.h>

#define ONE_DOLLAR 10000
#define ONE_CONTRACT 1000000

/* The value of a slot of an instance, by the offset that `slot_offset` found. */
#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

enum { DECLINED = 0, DONE = 1, FAILED = -1 };

/* One `orderbook_delta` frame; the texts lie in the frame. */
typedef struct {
    int64_t sid, seq, change, ts_ms;
    long price;  /* of the side's own contract: a key of its ladder */
    int is_no;
    const char *market;
    Py_ssize_t market_length;
    PyObject *tracker;
} Delta;

extern PyTypeObject DeltasType, LevelsType, PricesType;

/* Read a frame if it is a delta, in the usual form and the next of its subscription; only then is
   delta->tracker set, to a new reference. */
int deltas_read(PyObject *deltas, PyObject *frame, Delta *delta);

/* Count a frame that was read as taken. FAILED or DONE. */
int deltas_taken(PyObject *deltas, const Delta *delta);

/* Find where instances of a type keep an object in a slot of theirs; TypeError if it is none.
   FAILED or DONE. */
int slot_offset(PyObject *type, const char *name, Py_ssize_t *offset);

/* The value of an exact int of 64 bits; anything else, NULL included, is declined. */
int int64_of(PyObject *number, int64_t *value);

/* Put a new int into a slot. FAILED or DONE. */
int put_int64(PyObject **slot, int64_t value);

#endif
