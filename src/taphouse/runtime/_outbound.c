/* The hot half of an Outbound: write, take_kept and let_go, once for each reply.
 *
 * install(cls, ...) puts C methods into the Python class of the same behaviour (outbound.py): the class, its
 * slots and everything rare stay Python's.  Slots are reached where their member descriptors say they are.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

enum { SLOT_OWNER, SLOT_RAW, SLOT_KEPT, SLOT_FLAGS, SLOT_PROTOCOL, SLOTS };
static const char *const slot_names[SLOTS] = {"owner", "_raw", "_kept", "_flags", "protocol"};
static Py_ssize_t offsets[SLOTS];

/* As in outbound.py, handed in by install(). */
static unsigned long kept_is_full, closing, landing, has_marks, for_bytes, default_mark;

static PyObject *s_closed, *s_gate, *s_is_closing, *s_keep, *s_touched, *s_watches, *s_write;
static PyObject *s_check_mark, *s_let_go_mixed, *s_reopen;

#define SLOT(self, which) (*(PyObject **)((char *)(self) + offsets[which]))

static void set_slot(PyObject *self, int which, PyObject *value) /* steals value */
{
    PyObject *before = SLOT(self, which);
    SLOT(self, which) = value;
    Py_XDECREF(before);
}

static int get_flags(PyObject *self, unsigned long long *flags)
{
    PyObject *value = SLOT(self, SLOT_FLAGS);
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_flags");
        return -1;
    }
    *flags = PyLong_AsUnsignedLongLong(value);
    return *flags == (unsigned long long)-1 && PyErr_Occurred() ? -1 : 0;
}

static int set_flags(PyObject *self, unsigned long long flags)
{
    PyObject *value = PyLong_FromUnsignedLongLong(flags);
    if (value == NULL) return -1;
    set_slot(self, SLOT_FLAGS, value);
    return 0;
}

static int discard(PyObject *result)
{
    if (result == NULL) return -1;
    Py_DECREF(result);
    return 0;
}

/* Whether an attribute is true; -1 with an exception. */
static int is_true(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    if (value == NULL) return -1;
    int yes = PyObject_IsTrue(value);
    Py_DECREF(value);
    return yes;
}

static int keep(PyObject *self, PyObject *gate, PyObject *data)
{
    unsigned long long flags;
    if (PyBytes_CheckExact(data)) {
        Py_INCREF(data);
    } else { /* it may change, or its buffer go, before it is sent */
        PyObject *view = PyMemoryView_FromObject(data);
        data = view != NULL ? PyObject_Bytes(view) : NULL;
        Py_XDECREF(view);
        if (data == NULL) return -1;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(data);
    if (get_flags(self, &flags) < 0) goto failed;
    if (size == 0 || flags & closing) {
        Py_DECREF(data);
        return 0;
    }
    PyObject *kept = SLOT(self, SLOT_KEPT);
    if (kept == NULL || kept == Py_None) {
        kept = PyList_New(0);
        if (kept == NULL) goto failed;
        set_slot(self, SLOT_KEPT, kept);
        if (discard(PyObject_CallMethodOneArg(gate, s_keep, self)) < 0) goto failed;
        kept = SLOT(self, SLOT_KEPT);
        if (get_flags(self, &flags) < 0) goto failed;
    }
    if (!PyList_CheckExact(kept)) {
        PyErr_SetString(PyExc_SystemError, "what is kept is a list");
        goto failed;
    }
    if (PyList_Append(kept, data) < 0) goto failed;
    Py_DECREF(data);
    flags += (unsigned long long)size << for_bytes;
    if (set_flags(self, flags) < 0) return -1;
    if (flags >> for_bytes > default_mark || flags & has_marks)
        return discard(PyObject_CallMethodNoArgs(self, s_check_mark));
    return 0;
failed:
    Py_DECREF(data);
    return -1;
}

static PyObject *outbound_write(PyObject *self, PyObject *data)
{
    PyObject *owner = SLOT(self, SLOT_OWNER);
    if (owner == NULL) {
        PyErr_SetString(PyExc_AttributeError, "owner");
        return NULL;
    }
    Py_INCREF(owner);
    PyObject *gate = PyObject_GetAttr(owner, s_gate);
    int failed = gate == NULL ? -1 : is_true(gate, s_closed);
    if (failed > 0) {
        failed = keep(self, gate, data);
    } else if (failed == 0) {
        PyObject *raw = SLOT(self, SLOT_RAW);
        if (raw == NULL || raw == Py_None) {
            PyErr_SetString(PyExc_AttributeError, "the connection is not made yet");
            failed = -1;
        } else {
            Py_INCREF(raw);
            failed = discard(PyObject_CallMethodOneArg(raw, s_write, data));
            Py_DECREF(raw);
        }
    }
    Py_XDECREF(gate);
    if (failed == 0) failed = is_true(owner, s_watches);
    if (failed > 0) failed = discard(PyObject_CallMethodOneArg(owner, s_touched, self));
    Py_DECREF(owner);
    if (failed < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *outbound_take_kept(PyObject *self, PyObject *unused)
{
    unsigned long long flags;
    PyObject *kept = SLOT(self, SLOT_KEPT);
    if (kept == NULL || kept == Py_None || PyObject_Size(kept) == 0) {
        Py_INCREF(Py_None);
        set_slot(self, SLOT_KEPT, Py_None);
        return PyList_New(0);
    }
    if (get_flags(self, &flags) < 0 || set_flags(self, flags | landing) < 0) return NULL;
    Py_INCREF(Py_None);
    SLOT(self, SLOT_KEPT) = Py_None; /* its reference goes to the caller */
    return kept;
}

static int send_all(PyObject *self, PyObject *raw, PyObject *kept)
{
    static PyObject *nothing;
    unsigned long long flags, bytes;
    PyObject *data;
    int failed = 0;
    if (nothing == NULL && (nothing = PyBytes_FromStringAndSize(NULL, 0)) == NULL) return -1;
    if (PyList_GET_SIZE(kept) == 1) {
        data = PyList_GET_ITEM(kept, 0);
        Py_INCREF(data);
    } else if ((data = _PyBytes_Join(nothing, kept)) == NULL) {
        return -1;
    }
    if (get_flags(self, &flags) < 0) goto failed;
    bytes = (unsigned long long)PyBytes_GET_SIZE(data);
    if (bytes > flags >> for_bytes) bytes = flags >> for_bytes; /* forgotten meanwhile */
    if (set_flags(self, flags - (bytes << for_bytes)) < 0) goto failed;
    PyObject *is_closing = PyObject_CallMethodNoArgs(raw, s_is_closing);
    if (is_closing == NULL) goto failed;
    int skip = PyObject_IsTrue(is_closing);
    Py_DECREF(is_closing);
    if (skip < 0) goto failed;
    if (!skip) failed = discard(PyObject_CallMethodOneArg(raw, s_write, data));
    Py_DECREF(data);
    return failed;
failed:
    Py_DECREF(data);
    return -1;
}

static PyObject *outbound_let_go(PyObject *self, PyObject *kept)
{
    unsigned long long flags;
    if (!PyList_CheckExact(kept)) return PyErr_Format(PyExc_TypeError, "a list was taken");
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(kept); i++)
        if (!PyBytes_CheckExact(PyList_GET_ITEM(kept, i)))
            return PyObject_CallMethodOneArg(self, s_let_go_mixed, kept);
    if (get_flags(self, &flags) < 0 || set_flags(self, flags & ~(unsigned long long)landing) < 0) return NULL;
    PyObject *raw = SLOT(self, SLOT_RAW), *protocol = SLOT(self, SLOT_PROTOCOL);
    if (raw == NULL || raw == Py_None || protocol == NULL || protocol == Py_None || !PyList_GET_SIZE(kept))
        Py_RETURN_NONE;
    Py_INCREF(raw);
    int failed = send_all(self, raw, kept);
    Py_DECREF(raw);
    if (failed < 0 || get_flags(self, &flags) < 0) return NULL;
    if (flags & kept_is_full && !(flags >> for_bytes)) return PyObject_CallMethodNoArgs(self, s_reopen);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"write", outbound_write, METH_O, "Send ``data``."},
    {"take_kept", outbound_take_kept, METH_NOARGS,
     "Return what is kept, in order, and keep nothing of it any more."},
    {"let_go", outbound_let_go, METH_O, "Send what was taken."},
    {NULL, NULL, 0, NULL},
};

static PyObject *install(PyObject *module, PyObject *args)
{
    PyTypeObject *type;
    if (!PyArg_ParseTuple(args, "O!kkkkkk", &PyType_Type, &type, &kept_is_full, &closing, &landing, &has_marks,
                          &for_bytes, &default_mark))
        return NULL;
    for (int i = 0; i < SLOTS; i++) {
        PyObject *member = PyDict_GetItemString(type->tp_dict, slot_names[i]); /* borrowed */
        if (member == NULL || !Py_IS_TYPE(member, &PyMemberDescr_Type))
            return PyErr_Format(PyExc_TypeError, "%s has no slot %s", type->tp_name, slot_names[i]);
        offsets[i] = ((PyMemberDescrObject *)member)->d_member->offset;
    }
    for (PyMethodDef *method = methods; method->ml_name; method++) {
        PyObject *descriptor = PyDescr_NewMethod(type, method);
        if (descriptor == NULL) return NULL;
        int failed = PyObject_SetAttrString((PyObject *)type, method->ml_name, descriptor);
        Py_DECREF(descriptor);
        if (failed < 0) return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"install", install, METH_VARARGS, "Put the C methods into Outbound."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "taphouse.runtime._outbound", "The hot half of an Outbound.", -1, functions,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__outbound(void)
{
    static const struct {
        PyObject **name;
        const char *text;
    } names[] = {
        {&s_closed, "closed"}, {&s_gate, "gate"}, {&s_is_closing, "is_closing"}, {&s_keep, "keep"},
        {&s_touched, "touched"}, {&s_watches, "watches_activity"}, {&s_write, "write"},
        {&s_check_mark, "_check_mark"}, {&s_let_go_mixed, "_let_go_mixed"}, {&s_reopen, "_reopen"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (*names[i].name == NULL && (*names[i].name = PyUnicode_InternFromString(names[i].text)) == NULL)
            return NULL;
    return PyModule_Create(&module);
}
