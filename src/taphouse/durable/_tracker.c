/* Tracker, the C twin of tracker.py: rows, the ledger's core, and objects
 * whose writes are tracked.  Same names, same behaviour, same tests.
 *
 * Only the write of a plain value over a plain value, outside atomic blocks and
 * in the right thread, is done here; every other write goes to write() and
 * erase() of writing.py, which are handed in by install().
 *
 * This file must never know values, containers or how anything is stored.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "_rows.h"

/* Longest text written without a look; longer ones are measured by write(). */
#define SHORT_TEXT ((Py_ssize_t)1 << 20)

/* Values that need no look at all. */
static inline int
is_quick(PyObject *value)
{
    return PyLong_CheckExact(value) || value == Py_None || PyBool_Check(value) || PyFloat_CheckExact(value)
           || (PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) <= SHORT_TEXT)
           || (PyBytes_CheckExact(value) && PyBytes_GET_SIZE(value) <= SHORT_TEXT) || PyComplex_CheckExact(value);
}

#include "_wrapping.h"

static PyObject *slow_write;  /* write(obj, name, value) */
static PyObject *slow_erase;  /* erase(obj, name) */

/* ---- Tracked ---------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *weakrefs;
    Row *row; /* or NULL */
} Tracked;

static PyTypeObject Tracked_Type;

#include "_changing.h"
#include "_changes.h"
#include "_quickening.h"

static PyObject *
tracked_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (((args != NULL && PyTuple_GET_SIZE(args)) || (kwargs != NULL && PyDict_GET_SIZE(kwargs)))
        && type->tp_init == PyBaseObject_Type.tp_init) {
        PyErr_Format(PyExc_TypeError, "%s() takes no arguments", _PyType_Name(type));
        return NULL;
    }
    return type->tp_alloc(type, 0);
}

static int
tracked_traverse(Tracked *self, visitproc visit, void *arg)
{
    Py_VISIT(self->row);
    return 0;
}

static int
tracked_clear(Tracked *self)
{
    Py_CLEAR(self->row);
    return 0;
}

static void
tracked_dealloc(Tracked *self)
{
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    (void)tracked_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* The attribute dict belongs to the classes derived from this one, as the interpreter
 * keeps it for any class: reads stay as fast as those of a plain object. */
static PyObject *
tracked_get_state(PyObject *self, void *Py_UNUSED(closure))
{
    return PyObject_GenericGetDict(self, NULL);
}

static PyObject *
tracked_get_row(Tracked *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->row == NULL ? Py_None : (PyObject *)self->row);
}

static PyGetSetDef tracked_getset[] = {
    {"_tap_row", (getter)tracked_get_row, NULL, "the row, or None", NULL},
    {"_tap_state", tracked_get_state, NULL, "the attribute dict itself", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* Names that are not ordinary attributes: _v_..., _tap_..., __...__ */
static inline int
is_special(PyObject *name)
{
    if (!PyUnicode_IS_ASCII(name))
        return 0;
    const char *text = (const char *)PyUnicode_DATA(name); /* ends with a NUL */
    if (text[0] != '_')
        return 0;
    return text[1] == '_' || (text[1] == 'v' && text[2] == '_') || (text[1] == 't' && text[2] == 'a');
}

/* 1: written; 0: not for the fast path; -1: error. */
static inline int
write_into(Tracked *self, PyObject *state, PyObject *name, PyObject *value)
{
    PyObject *old = PyDict_GetItemWithError(state, name); /* borrowed */
    if (old == NULL) {
        if (PyErr_Occurred())
            return -1;
    }
    else if (!is_quick(old)) {
        int held = PySet_Contains(held_types, (PyObject *)Py_TYPE(old));
        if (held)
            return held < 0 ? -1 : 0;
    }
    Row *row = self->row;
    if (row != NULL) {
        LedgerCore *ledger = row->ledger;
        if (ledger == NULL || ledger->thread != PyThread_get_thread_ident())
            return 0;
        if (!row->dirty && mark_row(ledger, (PyObject *)self, row) < 0)
            return -1;
    }
    return PyDict_SetItem(state, name, value) < 0 ? -1 : 1;
}

/* The same, before the attribute dict is known. */
static int
write_quickly(Tracked *self, PyObject *name, PyObject *value)
{
    if (!is_quick(value) || PyDict_GET_SIZE(open_blocks) || is_special(name))
        return 0;
    PyObject *descriptor = _PyType_Lookup(Py_TYPE(self), name); /* borrowed */
    if (descriptor != NULL && Py_TYPE(descriptor)->tp_descr_set != NULL)
        return 0;
    PyObject *state = PyObject_GenericGetDict((PyObject *)self, NULL);
    if (state == NULL)
        return -1;
    int done = write_into(self, state, name, value);
    Py_DECREF(state);
    return done;
}

static int
tracked_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    if (slow_write == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "install() was not called");
        return -1;
    }
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "attribute name must be string, not '%.200s'", Py_TYPE(name)->tp_name);
        return -1;
    }
    PyObject *result;
    if (value == NULL) {
        result = PyObject_CallFunctionObjArgs(slow_erase, op, name, NULL);
    }
    else {
        int done = write_quickly((Tracked *)op, name, value);
        if (done)
            return done < 0 ? -1 : 0;
        result = PyObject_CallFunctionObjArgs(slow_write, op, name, value, NULL);
    }
    if (result == NULL)
        return -1;
    Py_DECREF(result);
    return 0;
}

static PyTypeObject Tracked_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "taphouse.durable._tracker.Tracked",
    .tp_basicsize = sizeof(Tracked),
    .tp_weaklistoffset = offsetof(Tracked, weakrefs),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "An object whose attribute writes are tracked.",
    .tp_new = tracked_new,
    .tp_traverse = (traverseproc)tracked_traverse,
    .tp_clear = (inquiry)tracked_clear,
    .tp_dealloc = (destructor)tracked_dealloc,
    .tp_getattro = PyObject_GenericGetAttr,
    .tp_setattro = tracked_setattro,
    .tp_getset = tracked_getset,
};

/* ---- module ----------------------------------------------------------- */

static PyObject *
set_row(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyObject_TypeCheck(args[0], &Tracked_Type)
        || (args[1] != Py_None && !Py_IS_TYPE(args[1], &Row_Type))) {
        PyErr_SetString(PyExc_TypeError, "set_row(tracked object, row or None)");
        return NULL;
    }
    Tracked *self = (Tracked *)args[0];
    Row *old = self->row;
    self->row = args[1] == Py_None ? NULL : (Row *)Py_NewRef(args[1]);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *
install(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *write, *erase, *quick, *held, *blocks;
    if (!PyArg_ParseTuple(args, "OOO!O!O!:install", &write, &erase, &PyFrozenSet_Type, &quick, &PySet_Type, &held,
                          &PyDict_Type, &blocks))
        return NULL;
    Py_XSETREF(slow_write, Py_NewRef(write));
    Py_XSETREF(slow_erase, Py_NewRef(erase));
    Py_XSETREF(held_types, Py_NewRef(held));
    Py_XSETREF(open_blocks, Py_NewRef(blocks));
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"install_types", install_types, METH_VARARGS, "Hand in the types that wrapping knows."},
    {"restore_simple", (PyCFunction)(void (*)(void))restore_simple, METH_FASTCALL,
     "Restore attributes; return the names of those that are not simple, or None."},
    {"quicken", quicken, METH_O, "Lay C methods over the common changes of a tracked class."},
    {"wrap_alone", wrap_alone, METH_O, "Return the tracked form of a list or dict, or None if there is more to it."},
    {"install", install, METH_VARARGS, "Hand in the slow path: write, erase, quick types, held types, open blocks."},
    {"set_row", (PyCFunction)(void (*)(void))set_row, METH_FASTCALL, "Give a tracked object its row."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef tracker_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "taphouse.durable._tracker",
    .m_doc = "The C twin of taphouse.durable.tracker.",
    .m_size = -1,
    .m_methods = module_methods,
};

PyMODINIT_FUNC
PyInit__tracker(void)
{
    PyObject *module = PyModule_Create(&tracker_module);
    if (module == NULL)
        return NULL;
    if (PyModule_AddType(module, &LedgerCore_Type) < 0 || PyModule_AddType(module, &Row_Type) < 0
        || PyModule_AddType(module, &Tracked_Type) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
