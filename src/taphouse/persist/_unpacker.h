/* The type Unpacker.  Included once, by _codec.c. */
#ifndef TAPHOUSE_UNPACKER_H
#define TAPHOUSE_UNPACKER_H

static PyObject *
unpacker_unpack(Unpacker *self, PyObject *data)
{
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "unpack(bytes)");
        return NULL;
    }
    In in = {self, (const uint8_t *)PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), 0, 0};
    PyObject *value = get(&in, 0);
    if (value != NULL && in.at != in.size) {
        Py_DECREF(value);
        return refuse("%zd bytes too many", in.size - in.at);
    }
    return value;
}

#include "_pouring.h"

/* Names that writers leave out: _v_... and __...__ */
static int
is_never_stored(PyObject *name)
{
    if (!PyUnicode_CheckExact(name))
        return 1;
    Py_ssize_t size = PyUnicode_GET_LENGTH(name);
    if (size < 2 || PyUnicode_READ_CHAR(name, 0) != '_')
        return 0;
    if (PyUnicode_READ_CHAR(name, 1) == 'v')
        return size >= 3 && PyUnicode_READ_CHAR(name, 2) == '_';
    return PyUnicode_READ_CHAR(name, 1) == '_' && PyUnicode_READ_CHAR(name, size - 1) == '_'
           && PyUnicode_READ_CHAR(name, size - 2) == '_';
}

static PyObject *
unpacker_unpack_state(Unpacker *self, PyObject *data)
{
    PyObject *state = unpacker_unpack(self, data);
    if (state == NULL)
        return NULL;
    if (!PyDict_CheckExact(state)) {
        Py_DECREF(state);
        return refuse("the state of an object is no map of names");
    }
    PyObject *name;
    Py_ssize_t position = 0;
    while (PyDict_Next(state, &position, &name, NULL))
        if (is_never_stored(name)) {
            refuse("an attribute %.60R, which is never stored", name);
            Py_DECREF(state);
            return NULL;
        }
    return state;
}

static int
unpacker_init(Unpacker *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"rows", "scalar", "tagged", NULL};
    PyObject *rows, *scalar, *tagged;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:Unpacker", names, &rows, &scalar, &tagged))
        return -1;
    Py_XSETREF(self->rows, Py_NewRef(rows));
    Py_XSETREF(self->scalar, Py_NewRef(scalar));
    Py_XSETREF(self->tagged, Py_NewRef(tagged));
    return 0;
}

static int
unpacker_traverse(Unpacker *self, visitproc visit, void *arg)
{
    Py_VISIT(self->rows);
    Py_VISIT(self->scalar);
    Py_VISIT(self->tagged);
    return 0;
}

static int
unpacker_clear(Unpacker *self)
{
    Py_CLEAR(self->rows);
    Py_CLEAR(self->scalar);
    Py_CLEAR(self->tagged);
    for (int index = 0; index < CACHED_NAMES; index++)
        Py_CLEAR(self->names[index]);
    return 0;
}

static void
unpacker_dealloc(Unpacker *self)
{
    PyObject_GC_UnTrack(self);
    (void)unpacker_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef unpacker_methods[] = {
    {"unpack", (PyCFunction)unpacker_unpack, METH_O, "Return the one value that bytes hold."},
    {"pour", (PyCFunction)(void (*)(void))unpacker_pour, METH_FASTCALL,
     "Put the entries that bytes hold into a dict; return those that are left, or None."},
    {"operate", (PyCFunction)(void (*)(void))unpacker_operate, METH_FASTCALL,
     "Do the operations that bytes hold on a dict; return those that are left, or None."},
    {"unpack_state", (PyCFunction)unpacker_unpack_state, METH_O, "Return the map of attribute names that bytes hold."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef unpacker_members[] = {
    {"has_parts", T_BOOL, offsetof(Unpacker, has_parts), 0, "whether a value that was poured is more than a leaf"},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject Unpacker_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "taphouse.persist._codec.Unpacker",
    .tp_basicsize = sizeof(Unpacker),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "Reads MessagePack as a tap uses it.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)unpacker_init,
    .tp_traverse = (traverseproc)unpacker_traverse,
    .tp_clear = (inquiry)unpacker_clear,
    .tp_dealloc = (destructor)unpacker_dealloc,
    .tp_methods = unpacker_methods,
    .tp_members = unpacker_members,
};

#endif
