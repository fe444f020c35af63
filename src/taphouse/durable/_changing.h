/* Changing: what every common change of a tracked container does, in one call.
 *
 * Included once, by _tracker.c.  A change is done here if it is the common case: a
 * leaf that needs no look goes in, nothing that owns containers comes out, no atomic
 * block is open, and the right thread writes.  Every other change goes to the Python
 * method that was there, which is also what the Python twin uses alone.
 */
#ifndef TAPHOUSE_CHANGING_H
#define TAPHOUSE_CHANGING_H

/* A container with more changes than this is written in full: the Python method sees to it. */
#define MAX_OPS 100000

enum { SETITEM, DELITEM, POP, SETDEFAULT, APPEND, APPENDLEFT, POPLEFT, ADD, DISCARD, METHODS };

typedef struct {
    PyTypeObject *type;
    int has_slots; /* whether layout holds; else all goes to the Python methods */
    Layout layout;
    PyObject *slow[METHODS];
} Kind;

static Kind *kinds;
static Py_ssize_t kind_count;
static PyObject *held_types;  /* set: types that must be told when overwritten */
static PyObject *open_blocks; /* dict: open atomic blocks by thread */
static PyObject *name_token, *name_maxlen, *op_set, *op_delete, *op_splice, *op_add, *op_remove;
static PyObject *deque_methods[METHODS];

static const Kind *
kind_of(PyTypeObject *type)
{
    for (Py_ssize_t i = 0; i < kind_count; i++)
        if (kinds[i].type == type)
            return &kinds[i];
    return NULL;
}

static PyObject *
call_slow(PyObject *self, int method, PyObject *const *args, Py_ssize_t count)
{
    const Kind *kind = kind_of(Py_TYPE(self));
    for (Py_ssize_t i = 0; kind == NULL && i < kind_count; i++) /* a class derived from a tracked one */
        if (PyType_IsSubtype(Py_TYPE(self), kinds[i].type))
            kind = &kinds[i];
    if (kind == NULL || kind->slow[method] == NULL || count > 3) {
        PyErr_Format(PyExc_TypeError, "a %s, or arguments, that do not fit", _PyType_Name(Py_TYPE(self)));
        return NULL;
    }
    PyObject *all[4] = {self, count > 0 ? args[0] : NULL, count > 1 ? args[1] : NULL, count > 2 ? args[2] : NULL};
    return PyObject_Vectorcall(kind->slow[method], all, (size_t)count + 1, NULL);
}

/* The kind of self if a change of it may be done here, else NULL. */
static inline const Kind *
quick_kind(PyObject *self)
{
    if (open_blocks == NULL || PyDict_GET_SIZE(open_blocks))
        return NULL;
    const Kind *kind = kind_of(Py_TYPE(self));
    return kind != NULL && kind->has_slots ? kind : NULL;
}

static inline PyObject *
slot_of(PyObject *self, Py_ssize_t offset)
{
    return *(PyObject **)((char *)self + offset);
}

/* Keys that need no look and of which equal ones are equally encoded. */
static inline int
is_plain_key(PyObject *key)
{
    return is_quick(key) && (PyUnicode_CheckExact(key) || PyLong_CheckExact(key) || PyBytes_CheckExact(key) || key == Py_None);
}

/* Whether value must be told when it goes; -1: error. */
static inline int
is_held(PyObject *value)
{
    return is_quick(value) ? 0 : PySet_Contains(held_types, (PyObject *)Py_TYPE(value));
}

/* What a weak reference refers to, borrowed from who holds it; NULL: it is gone. */
static inline PyObject *
referent(PyObject *ref)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *found;
    if (PyWeakref_GetRef(ref, &found) <= 0) {
        PyErr_Clear();
        return NULL;
    }
    Py_DECREF(found); /* its own references keep it: nothing runs before it is used */
    return found;
#else
    PyObject *found = PyWeakref_GetObject(ref);
    return found == Py_None ? NULL : found;
#endif
}

/* touch() of ownership.py.  1: self may be changed, *own is its row if it has one, else NULL;
 * 0: leave it to the Python method; -1: error. */
static int
touch_quickly(const Kind *kind, PyObject *self, Row **own)
{
    PyObject *home = self, *child = NULL, *row = slot_of(self, kind->layout.row);
    const Layout *layout = &kind->layout, *below = NULL;
    *own = NULL;
    while (row == Py_None) {
        PyObject *ref = slot_of(home, layout->owner);
        if (ref == Py_None)
            return 1;
        if (ref == NULL || !PyWeakref_Check(ref))
            return 0;
        child = home;
        below = layout;
        if ((home = referent(ref)) == NULL)
            return 1;
        if (PyObject_TypeCheck(home, &Tracked_Type)) {
            row = (PyObject *)((Tracked *)home)->row;
            if (row == NULL)
                return 1;
            break;
        }
        const Kind *above = kind_of(Py_TYPE(home));
        if (above == NULL || !above->has_slots)
            return 0;
        layout = &above->layout;
        row = slot_of(home, layout->row);
    }
    if (row == NULL || !Py_IS_TYPE(row, &Row_Type))
        return 0;
    Row *found = (Row *)row;
    if (found->ledger != NULL && found->ledger->thread != PyThread_get_thread_ident())
        return 0;
    if (found->ops != NULL && found->ops != Py_None) {
        if (!PyList_Check(found->ops) || PyList_GET_SIZE(found->ops) >= MAX_OPS)
            return 0;
        if (child != NULL) {
            PyObject *token = PyObject_GetAttr(found->ops, name_token);
            if (token == NULL)
                return -1;
            int noted = slot_of(child, below->logged) == token;
            Py_DECREF(token);
            if (!noted)
                return 0;
        }
    }
    if (home == self)
        *own = found;
    if (found->ledger != NULL && !found->dirty)
        return mark_row(found->ledger, home, found) < 0 ? -1 : 1;
    return 1;
}

/* Note a change that was done; steals op.  Without it the container is written in full. */
static void
note(Row *own, PyObject *op)
{
    if (op == NULL || PyList_Append(own->ops, op) < 0) {
        PyErr_Clear();
        PyObject *ops = own->ops;
        own->ops = Py_NewRef(Py_None);
        Py_XDECREF(ops);
    }
    Py_XDECREF(op);
}

static inline int
is_noting(Row *own)
{
    return own != NULL && own->ops != NULL && own->ops != Py_None;
}

/* ["p", start, stop, [value]], or no values */
static void
note_splice(Row *own, Py_ssize_t start, Py_ssize_t stop, PyObject *value)
{
    if (!is_noting(own))
        return;
    PyObject *values = PyList_New(value != NULL);
    if (values != NULL && value != NULL)
        PyList_SET_ITEM(values, 0, Py_NewRef(value));
    note(own, values == NULL ? NULL : Py_BuildValue("(OnnN)", op_splice, start, stop, values));
}

#endif
