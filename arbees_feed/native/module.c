/* The module, and what its parts share. */

#include "native.h"

int slot_offset(PyObject *type, const char *name, Py_ssize_t *offset)
{
    PyObject *found = PyObject_GetAttrString(type, name);

    if (found == NULL)
        return FAILED;
    /* Of another type (borrowed as an attribute) it would lie elsewhere. */
    if (!Py_IS_TYPE(found, &PyMemberDescr_Type) ||
        !PyType_IsSubtype((PyTypeObject *)type, PyDescr_TYPE(found)) ||
        ((PyMemberDescrObject *)found)->d_member->type != T_OBJECT_EX) {
        PyErr_Format(PyExc_TypeError, "%s of %R is no slot", name, type);
        Py_DECREF(found);
        return FAILED;
    }
    *offset = ((PyMemberDescrObject *)found)->d_member->offset;
    Py_DECREF(found);
    return DONE;
}

int int64_of(PyObject *number, int64_t *value)
{
    int overflow = 0;

    if (number == NULL || !PyLong_CheckExact(number))
        return DECLINED;
    *value = PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow ? DECLINED : DONE;
}

int put_int64(PyObject **slot, int64_t value)
{
    PyObject *number = PyLong_FromLongLong(value);

    if (number == NULL)
        return FAILED;
    Py_XSETREF(*slot, number);
    return DONE;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "arbees_feed.native._compiled",
    .m_doc = "The path of a frame, compiled.",
    .m_size = -1,
};

/* Raised with native/__init__.py whenever the two no longer fit each other. */
#define REVISION 1

PyMODINIT_FUNC PyInit__compiled(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module == NULL)
        return NULL;
    if (PyModule_AddType(module, &DeltasType) < 0 || PyModule_AddType(module, &LevelsType) < 0 ||
        PyModule_AddType(module, &PricesType) < 0 ||
        PyModule_AddIntConstant(module, "REVISION", REVISION) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
