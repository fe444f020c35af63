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

/* Longest text written without a look; longer ones are measured by write(). */
#define SHORT_TEXT ((Py_ssize_t)1 << 20)

static PyObject *slow_write;  /* write(obj, name, value) */
static PyObject *slow_erase;  /* erase(obj, name) */
static PyObject *held_types;  /* set: types that must be told when overwritten */
static PyObject *open_blocks; /* dict: open atomic blocks by thread */

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

/* ---- Tracked ---------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *dict;
    PyObject *weakrefs;
    Row *row; /* or NULL */
} Tracked;

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
    Py_VISIT(self->dict);
    Py_VISIT(self->row);
    return 0;
}

static int
tracked_clear(Tracked *self)
{
    Py_CLEAR(self->dict);
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

/* Borrowed; makes the dict, with the keys shared by all objects of the class. */
static PyObject *
state_of(Tracked *self)
{
    if (self->dict == NULL) {
        PyObject *made = PyObject_GenericGetDict((PyObject *)self, NULL);
        if (made == NULL)
            return NULL;
        Py_DECREF(made);
    }
    return self->dict;
}

static PyObject *
tracked_get_state(Tracked *self, void *Py_UNUSED(closure))
{
    return Py_XNewRef(state_of(self));
}

static PyObject *
tracked_get_dict(Tracked *self, void *Py_UNUSED(closure))
{
    PyObject *state = state_of(self);
    return state == NULL ? NULL : PyDictProxy_New(state);
}

static PyObject *
tracked_get_row(Tracked *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->row == NULL ? Py_None : (PyObject *)self->row);
}

static PyGetSetDef tracked_getset[] = {
    {"__dict__", (getter)tracked_get_dict, NULL, "a read-only view of the attributes", NULL},
    {"_tap_row", (getter)tracked_get_row, NULL, "the row, or None", NULL},
    {"_tap_state", (getter)tracked_get_state, NULL, "the attribute dict itself", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static inline int
is_quick(PyObject *value)
{
    return PyLong_CheckExact(value) || value == Py_None || PyBool_Check(value) || PyFloat_CheckExact(value)
           || (PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) <= SHORT_TEXT)
           || (PyBytes_CheckExact(value) && PyBytes_GET_SIZE(value) <= SHORT_TEXT) || PyComplex_CheckExact(value);
}

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
static int
write_quickly(Tracked *self, PyObject *name, PyObject *value)
{
    if (!is_quick(value) || self->dict == NULL || PyDict_GET_SIZE(open_blocks) || is_special(name))
        return 0;
    PyObject *descriptor = _PyType_Lookup(Py_TYPE(self), name); /* borrowed */
    if (descriptor != NULL && Py_TYPE(descriptor)->tp_descr_set != NULL)
        return 0;
    PyObject *old = PyDict_GetItemWithError(self->dict, name); /* borrowed */
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
    return PyDict_SetItem(self->dict, name, value) < 0 ? -1 : 1;
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
    .tp_dictoffset = offsetof(Tracked, dict),
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
