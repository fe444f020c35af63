/* Rows and the ledger's core: the part of the C twin that knows no attributes.
 *
 * Included once, by _tracker.c.  A row is the identity of an object in a tap; it
 * is made when the object is attached and reports its number to the ledger when
 * it dies.  Field by field the same as in tracker.py.
 */
#ifndef TAPHOUSE_ROWS_H
#define TAPHOUSE_ROWS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

/* ---- LedgerCore ------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    unsigned long thread;
    PyObject *dirty;
    PyObject *freed;
    PyObject *on_dirty;
} LedgerCore;

static PyTypeObject LedgerCore_Type;

static PyObject *
ledger_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    LedgerCore *self = (LedgerCore *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->dirty = PyList_New(0);
    self->freed = PyList_New(0);
    self->on_dirty = Py_NewRef(Py_None);
    if (self->dirty == NULL || self->freed == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
ledger_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

static int
ledger_traverse(LedgerCore *self, visitproc visit, void *arg)
{
    Py_VISIT(self->dirty);
    Py_VISIT(self->freed);
    Py_VISIT(self->on_dirty);
    return 0;
}

static int
ledger_clear(LedgerCore *self)
{
    Py_CLEAR(self->dirty);
    Py_CLEAR(self->freed);
    Py_CLEAR(self->on_dirty);
    return 0;
}

static void
ledger_dealloc(LedgerCore *self)
{
    PyObject_GC_UnTrack(self);
    (void)ledger_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
get_list(PyObject *list)
{
    return Py_NewRef(list == NULL ? Py_None : list);
}

static int
set_list(PyObject **place, PyObject *value)
{
    if (value == NULL || !PyList_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "must be a list");
        return -1;
    }
    PyObject *old = *place;
    *place = Py_NewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyObject *
ledger_get_dirty(LedgerCore *self, void *Py_UNUSED(closure))
{
    return get_list(self->dirty);
}

static int
ledger_set_dirty(LedgerCore *self, PyObject *value, void *Py_UNUSED(closure))
{
    return set_list(&self->dirty, value);
}

static PyObject *
ledger_get_freed(LedgerCore *self, void *Py_UNUSED(closure))
{
    return get_list(self->freed);
}

static int
ledger_set_freed(LedgerCore *self, PyObject *value, void *Py_UNUSED(closure))
{
    return set_list(&self->freed, value);
}

static PyGetSetDef ledger_getset[] = {
    {"dirty", (getter)ledger_get_dirty, (setter)ledger_set_dirty, "what changed since the last drain", NULL},
    {"freed", (getter)ledger_get_freed, (setter)ledger_set_freed, "row numbers whose objects died", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef ledger_members[] = {
    {"thread", T_ULONG, offsetof(LedgerCore, thread), 0, "the only thread that may write; 0: nobody may"},
    {"on_dirty", T_OBJECT, offsetof(LedgerCore, on_dirty), 0, "called at the first change"},
    {NULL, 0, 0, 0, NULL},
};

/* ---- Row -------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    LedgerCore *ledger; /* or NULL */
    long long oid;
    char dirty;
    PyObject *ops;
} Row;

static PyTypeObject Row_Type;

static int
row_set_ledger(Row *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || value == Py_None) {
        Py_CLEAR(self->ledger);
        return 0;
    }
    if (!PyObject_TypeCheck(value, &LedgerCore_Type)) {
        PyErr_SetString(PyExc_TypeError, "ledger must be a ledger or None");
        return -1;
    }
    LedgerCore *old = self->ledger;
    self->ledger = (LedgerCore *)Py_NewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyObject *
row_get_ledger(Row *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->ledger == NULL ? Py_None : (PyObject *)self->ledger);
}

static PyObject *
row_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"ledger", "oid", NULL};
    PyObject *ledger = Py_None;
    long long oid = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OL:Row", names, &ledger, &oid))
        return NULL;
    Row *self = (Row *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->ops = Py_NewRef(Py_None);
    if (row_set_ledger(self, ledger, NULL) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->oid = oid;
    return (PyObject *)self;
}

static int
row_traverse(Row *self, visitproc visit, void *arg)
{
    Py_VISIT(self->ledger);
    Py_VISIT(self->ops);
    return 0;
}

static int
row_clear(Row *self)
{
    Py_CLEAR(self->ledger);
    Py_CLEAR(self->ops);
    return 0;
}

/* Runs before the garbage collector clears anything, so the ledger is whole. */
static void
row_finalize(PyObject *op)
{
    Row *self = (Row *)op;
    if (self->oid == 0 || self->ledger == NULL || self->ledger->freed == NULL)
        return;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *oid = PyLong_FromLongLong(self->oid);
    if (oid == NULL || PyList_Append(self->ledger->freed, oid) < 0)
        PyErr_WriteUnraisable(op);
    Py_XDECREF(oid);
    PyErr_Restore(type, value, trace);
}

static void
row_dealloc(Row *self)
{
    if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    (void)row_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyGetSetDef row_getset[] = {
    {"ledger", (getter)row_get_ledger, (setter)row_set_ledger, "the ledger it is written in, or None", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef row_members[] = {
    {"oid", T_LONGLONG, offsetof(Row, oid), 0, "its number, or 0"},
    {"dirty", T_BOOL, offsetof(Row, dirty), 0, "whether it is among ledger.dirty"},
    {"ops", T_OBJECT, offsetof(Row, ops), 0, "changes since the last take, or None for everything"},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject Row_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "taphouse.durable._tracker.Row",
    .tp_basicsize = sizeof(Row),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The identity of a durable object or own container in a tap.",
    .tp_new = row_new,
    .tp_traverse = (traverseproc)row_traverse,
    .tp_clear = (inquiry)row_clear,
    .tp_finalize = row_finalize,
    .tp_dealloc = (destructor)row_dealloc,
    .tp_getset = row_getset,
    .tp_members = row_members,
};

static int
mark_row(LedgerCore *ledger, PyObject *target, Row *row)
{
    if (row->dirty)
        return 0;
    if (ledger->dirty == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the ledger is gone");
        return -1;
    }
    row->dirty = 1;
    if (PyList_Append(ledger->dirty, target) < 0) {
        row->dirty = 0;
        return -1;
    }
    if (PyList_GET_SIZE(ledger->dirty) == 1 && ledger->on_dirty != NULL && ledger->on_dirty != Py_None) {
        PyObject *call = Py_NewRef(ledger->on_dirty);
        PyObject *result = PyObject_CallNoArgs(call);
        Py_DECREF(call);
        if (result == NULL)
            return -1;
        Py_DECREF(result);
    }
    return 0;
}

static PyObject *
ledger_mark_row(LedgerCore *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !Py_IS_TYPE(args[1], &Row_Type)) {
        PyErr_SetString(PyExc_TypeError, "mark_row(target, row)");
        return NULL;
    }
    if (mark_row(self, args[0], (Row *)args[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef ledger_methods[] = {
    {"mark_row", (PyCFunction)(void (*)(void))ledger_mark_row, METH_FASTCALL,
     "Put target, whose row is row, among the dirty."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject LedgerCore_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "taphouse.durable._tracker.LedgerCore",
    .tp_basicsize = sizeof(LedgerCore),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "What the fast paths need of a ledger.",
    .tp_new = ledger_new,
    .tp_init = ledger_init,
    .tp_traverse = (traverseproc)ledger_traverse,
    .tp_clear = (inquiry)ledger_clear,
    .tp_dealloc = (destructor)ledger_dealloc,
    .tp_getset = ledger_getset,
    .tp_members = ledger_members,
    .tp_methods = ledger_methods,
};

#endif
