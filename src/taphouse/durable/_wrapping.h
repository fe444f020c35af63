/* Wrapping: tracked lists and dicts made of plain ones whose parts are simple.
 *
 * Included once, by _tracker.c.  What is not simple (sets, named tuples, anything
 * that must be looked at or is held elsewhere) is left to adoption.py, which does
 * all of it in Python; this is only the common case of it, and that of a thaw.
 */
#ifndef TAPHOUSE_WRAPPING_H
#define TAPHOUSE_WRAPPING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#define DEEPEST 100

/* Where a tracked type keeps its slots. */
typedef struct {
    PyTypeObject *type;
    Py_ssize_t owner, key, slots, row, logged;
} Layout;

static Layout list_layout, dict_layout;
static PyObject *leaf_types;    /* frozenset: exact types of values without parts */
static PyObject *durable_types; /* set: exact types of durable objects */
static PyObject *plain_types;   /* frozenset: types that must be wrapped */
static PyObject *tracked_types; /* set: types that are wrapped already */

static int
find_slot(PyTypeObject *type, const char *name, Py_ssize_t *offset)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    if (descriptor == NULL)
        return -1;
    if (!Py_IS_TYPE(descriptor, &PyMemberDescr_Type)) {
        PyErr_Format(PyExc_TypeError, "%s is no slot", name);
        Py_DECREF(descriptor);
        return -1;
    }
    *offset = ((PyMemberDescrObject *)descriptor)->d_member->offset;
    Py_DECREF(descriptor);
    return 0;
}

static int
find_layout(Layout *layout, PyTypeObject *type, PyTypeObject *base)
{
    if (!PyType_IsSubtype(type, base)) {
        PyErr_Format(PyExc_TypeError, "must derive from %s", base->tp_name);
        return -1;
    }
    if (find_slot(type, "_tap_owner", &layout->owner) < 0 || find_slot(type, "_tap_key", &layout->key) < 0
        || find_slot(type, "_tap_slots", &layout->slots) < 0 || find_slot(type, "_tap_row", &layout->row) < 0
        || find_slot(type, "_tap_logged", &layout->logged) < 0)
        return -1;
    Py_INCREF(type);
    layout->type = type;
    return 0;
}

/* Steals nothing; replaces whatever is in the slot. */
static inline void
put(PyObject *self, Py_ssize_t offset, PyObject *value)
{
    PyObject **place = (PyObject **)((char *)self + offset);
    PyObject *old = *place;
    *place = Py_NewRef(value);
    Py_XDECREF(old);
}

/* Make owner, which has it at key, the only owner of a container just made. */
static int
own_by(PyObject *self, const Layout *layout, PyObject *owner, PyObject *key)
{
    PyObject *one = PyLong_FromLong(1);
    PyObject *ref = one == NULL ? NULL : PyWeakref_NewRef(owner, NULL);
    if (ref == NULL) {
        Py_XDECREF(one);
        return -1;
    }
    put(self, layout->owner, ref);
    put(self, layout->key, key);
    put(self, layout->slots, one);
    Py_DECREF(ref);
    Py_DECREF(one);
    return 0;
}

static int
clear_slots(PyObject *self, const Layout *layout)
{
    PyObject *zero = PyLong_FromLong(0);
    if (zero == NULL)
        return -1;
    put(self, layout->owner, Py_None);
    put(self, layout->key, Py_None);
    put(self, layout->slots, zero);
    put(self, layout->row, Py_None);
    put(self, layout->logged, Py_None);
    Py_DECREF(zero);
    return 0;
}

/* 1: nothing to wrap in it and nothing to look at; 0: not simple; -1: error. */
static int
is_leaf(PyObject *value, int strict, int depth)
{
    if (is_quick(value))
        return 1;
    if (PyTuple_CheckExact(value)) {
        if (depth > DEEPEST)
            return 0;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); i++) {
            int leaf = is_leaf(PyTuple_GET_ITEM(value, i), strict, depth + 1);
            if (leaf <= 0)
                return leaf;
        }
        return 1;
    }
    PyObject *type = (PyObject *)Py_TYPE(value);
    int known = PySet_Contains(leaf_types, type);
    if (known == 0)
        known = PySet_Contains(durable_types, type);
    if (known != 0 || strict)
        return known;
    if (PyTuple_Check(value))
        return 0;
    int other = PySet_Contains(plain_types, type);
    if (other == 0)
        other = PySet_Contains(tracked_types, type);
    return other < 0 ? -1 : !other;
}

static int wrap(PyObject *plain, int strict, int depth, PyObject **made);

/* 1: *made is what to store at key of owner for value; 0: not simple; -1: error. */
static int
wrap_part(PyObject *value, PyObject *owner, PyObject *key, int strict, int depth, PyObject **made)
{
    int leaf = is_leaf(value, strict, depth);
    if (leaf) {
        *made = leaf > 0 ? Py_NewRef(value) : NULL;
        return leaf;
    }
    if (strict && Py_REFCNT(value) != 1) /* somebody beside its container holds it: to be watched */
        return 0;
    int done = wrap(value, strict, depth + 1, made);
    if (done <= 0)
        return done;
    const Layout *layout = PyList_Check(*made) ? &list_layout : &dict_layout;
    if (own_by(*made, layout, owner, key) < 0) {
        Py_CLEAR(*made);
        return -1;
    }
    return 1;
}

static int
wrap_list(PyObject *plain, int strict, int depth, PyObject *fresh)
{
    if (PyList_SetSlice(fresh, 0, 0, plain) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(fresh); i++) {
        if (PyList_GET_SIZE(plain) != PyList_GET_SIZE(fresh))
            return 0;
        PyObject *value = PyList_GET_ITEM(plain, i), *made, *key;
        if (is_quick(value))
            continue;
        /* The copy in fresh must not count as a holder. */
        PyList_SetItem(fresh, i, Py_NewRef(Py_None));
        if ((key = PyLong_FromSsize_t(i)) == NULL)
            return -1;
        int done = wrap_part(value, fresh, key, strict, depth, &made);
        Py_DECREF(key);
        if (done <= 0)
            return done;
        PyList_SetItem(fresh, i, made);
    }
    return 1;
}

static int
wrap_dict(PyObject *plain, int strict, int depth, PyObject *fresh)
{
    PyObject *key, *value, *made;
    Py_ssize_t position = 0;
    while (PyDict_Next(plain, &position, &key, &value)) {
        if (strict && !is_quick(key)) {
            int leaf = is_leaf(key, 1, depth);
            if (leaf <= 0)
                return leaf;
        }
        int done = wrap_part(value, fresh, key, strict, depth, &made);
        if (done <= 0)
            return done;
        Py_INCREF(key); /* its hash may be code of the application */
        int stored = PyDict_SetItem(fresh, key, made);
        Py_DECREF(key);
        Py_DECREF(made);
        if (stored < 0)
            return -1;
    }
    return 1;
}

/* 1: *made is the tracked form of plain, without owner; 0: not simple; -1: error. */
static int
wrap(PyObject *plain, int strict, int depth, PyObject **made)
{
    *made = NULL;
    int is_list = PyList_CheckExact(plain);
    if ((!is_list && !PyDict_CheckExact(plain)) || depth > DEEPEST || list_layout.type == NULL)
        return 0;
    const Layout *layout = is_list ? &list_layout : &dict_layout;
    PyTypeObject *base = is_list ? &PyList_Type : &PyDict_Type;
    PyObject *none = PyTuple_New(0);
    PyObject *fresh = none == NULL ? NULL : base->tp_new(layout->type, none, NULL);
    Py_XDECREF(none);
    if (fresh == NULL || clear_slots(fresh, layout) < 0) {
        Py_XDECREF(fresh);
        return -1;
    }
    int done = is_list ? wrap_list(plain, strict, depth, fresh) : wrap_dict(plain, strict, depth, fresh);
    if (done <= 0) {
        Py_DECREF(fresh);
        return done;
    }
    *made = fresh;
    return 1;
}

/* wrap_alone(plain) -> tracked form, or None if there is more to it */
static PyObject *
wrap_alone(PyObject *Py_UNUSED(module), PyObject *plain)
{
    PyObject *made;
    int done = wrap(plain, 1, 1, &made);
    return done < 0 ? NULL : done ? made : Py_NewRef(Py_None);
}

/* restore_simple(obj, attributes, state) -> names of what was left, or None
 *
 * Puts what is in state into attributes, the attribute dict of obj. */
static PyObject *
restore_simple(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyDict_Check(args[1]) || !PyDict_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "restore_simple(obj, attributes, state)");
        return NULL;
    }
    if (list_layout.type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "install_types() was not called");
        return NULL;
    }
    PyObject *name, *value, *made, *left = NULL;
    Py_ssize_t position = 0;
    while (PyDict_Next(args[2], &position, &name, &value)) {
        int done = wrap_part(value, args[0], name, 0, 0, &made);
        if (done < 0)
            goto failed;
        if (done) {
            int stored = PyDict_SetItem(args[1], name, made);
            Py_DECREF(made);
            if (stored < 0)
                goto failed;
            continue;
        }
        /* Its place among the attributes is kept. */
        if ((left == NULL && (left = PyList_New(0)) == NULL) || PyList_Append(left, name) < 0
            || PyDict_SetItem(args[1], name, Py_None) < 0)
            goto failed;
    }
    return left == NULL ? Py_NewRef(Py_None) : left;
failed:
    Py_XDECREF(left);
    return NULL;
}

/* install_types(TrackedList, TrackedDict, leaves, durables, plain, tracked) */
static PyObject *
install_types(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *list, *dict, *leaves, *durables, *plain, *tracked;
    if (!PyArg_ParseTuple(args, "O!O!O!O!O!O!:install_types", &PyType_Type, &list, &PyType_Type, &dict,
                          &PyFrozenSet_Type, &leaves, &PySet_Type, &durables, &PyFrozenSet_Type, &plain, &PySet_Type,
                          &tracked))
        return NULL;
    Py_XSETREF(leaf_types, Py_NewRef(leaves));
    Py_XSETREF(durable_types, Py_NewRef(durables));
    Py_XSETREF(plain_types, Py_NewRef(plain));
    Py_XSETREF(tracked_types, Py_NewRef(tracked));
    if (find_layout(&dict_layout, (PyTypeObject *)dict, &PyDict_Type) < 0
        || find_layout(&list_layout, (PyTypeObject *)list, &PyList_Type) < 0)
        return NULL;
    Py_RETURN_NONE;
}

#endif
