/* The writing half of the codec.  Included once, by _codec.c; twin of packer.py. */
#ifndef TAPHOUSE_PACKING_H
#define TAPHOUSE_PACKING_H

#define MAX_DEPTH 200

static PyObject *as_builtin, *ext_type, *tagged_type, *label_of, *items_of;
static PyObject *ordered_dict, *name_path, *name_row, *name_slots;
static PyTypeObject *durable_type, *tracked_list_type, *tracked_dict_type;
static Py_ssize_t embedded_limit = 1000;

/* ---- Packer ------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    PyObject *hook;
    PyObject *numbers; /* id(object) -> row number, or NULL */
    PyObject *found;   /* the objects numbered, in order; a number is a place in it, counted from 1 */
    int embeds;        /* tracked lists and dicts without a row are written inline without the hook */
} Packer;

static int put(Packer *self, Out *out, PyObject *value, int depth);
static int put_shape(Packer *self, Out *out, PyObject *value, PyObject *shape, int depth);

static inline int
is_scalar_key(PyObject *key)
{
    return PyUnicode_CheckExact(key) || PyLong_CheckExact(key) || PyBytes_CheckExact(key) || PyFloat_CheckExact(key)
           || PyBool_Check(key) || key == Py_None;
}

/* Put a step in front of the path of the failure that is being raised. */
static int
add_step(PyObject *step)
{
    PyObject *type, *failure, *trace;
    PyErr_Fetch(&type, &failure, &trace);
    PyErr_NormalizeException(&type, &failure, &trace);
    if (step != NULL && failure != NULL && PyObject_IsInstance(failure, pack_failure) == 1) {
        PyObject *path = PyObject_GetAttr(failure, name_path);
        PyObject *longer = path == NULL ? NULL : PyUnicode_FromFormat("%U%S", step, path);
        if (longer != NULL)
            (void)PyObject_SetAttr(failure, name_path, longer);
        Py_XDECREF(path);
        Py_XDECREF(longer);
    }
    PyErr_Clear();
    Py_XDECREF(step);
    PyErr_Restore(type, failure, trace);
    return -1;
}

static PyObject *
label_step(PyObject *key)
{
    /* "[label]" of a key, made while an error is set. */
    PyObject *type, *failure, *trace;
    PyErr_Fetch(&type, &failure, &trace);
    PyObject *label = PyObject_CallOneArg(label_of, key);
    PyObject *step = label == NULL ? NULL : PyUnicode_FromFormat("[%S]", label);
    Py_XDECREF(label);
    PyErr_Clear();
    PyErr_Restore(type, failure, trace);
    return step;
}

static int
add_index(Py_ssize_t index)
{
    PyObject *type, *failure, *trace;
    PyErr_Fetch(&type, &failure, &trace);
    PyObject *step = PyUnicode_FromFormat("[%zd]", index);
    PyErr_Clear();
    PyErr_Restore(type, failure, trace);
    return add_step(step);
}

static int
put_items(Packer *self, Out *out, PyObject *items, Py_ssize_t count, int depth)
{
    PyObject *sequence = NULL;
    if (!PyList_Check(items) && !PyTuple_Check(items)) {
        sequence = PySequence_List(items);
        if (sequence == NULL)
            return -1;
        items = sequence;
    }
    Py_ssize_t index = 0;
    for (;; index++) {
        Py_ssize_t size = PyList_Check(items) ? PyList_GET_SIZE(items) : PyTuple_GET_SIZE(items);
        if (index >= size)
            break;
        PyObject *item = PyList_Check(items) ? PyList_GET_ITEM(items, index) : PyTuple_GET_ITEM(items, index);
        Py_INCREF(item);
        int result = put(self, out, item, depth + 1);
        Py_DECREF(item);
        if (result < 0) {
            (void)add_index(index);
            Py_XDECREF(sequence);
            return -1;
        }
    }
    Py_XDECREF(sequence);
    return index == count ? 0 : fail("a container that changed while it was written");
}

static int
put_pair(Packer *self, Out *out, PyObject *key, PyObject *value, int depth)
{
    Py_INCREF(key);
    Py_INCREF(value);
    int result = put(self, out, key, depth + 1);
    if (result == 0)
        result = put(self, out, value, depth + 1);
    if (result < 0)
        (void)add_step(label_step(key));
    Py_DECREF(key);
    Py_DECREF(value);
    return result;
}

static int
put_pairs(Packer *self, Out *out, PyObject *pairs, Py_ssize_t count, int depth)
{
    Py_ssize_t written = 0;
    if (PyObject_TypeCheck(pairs, (PyTypeObject *)ordered_dict)) {
        PyObject *items = PyObject_CallOneArg(items_of, pairs);
        PyObject *list = items == NULL ? NULL : PySequence_List(items);
        Py_XDECREF(items);
        if (list == NULL)
            return -1;
        for (; written < PyList_GET_SIZE(list); written++) {
            PyObject *pair = PyList_GET_ITEM(list, written);
            if (put_pair(self, out, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1), depth) < 0) {
                Py_DECREF(list);
                return -1;
            }
        }
        Py_DECREF(list);
    }
    else {
        PyObject *key, *value;
        Py_ssize_t position = 0;
        while (PyDict_Next(pairs, &position, &key, &value)) {
            if (put_pair(self, out, key, value, depth) < 0)
                return -1;
            written++;
        }
    }
    return written == count ? 0 : fail("a container that changed while it was written");
}

static int
put_list(Packer *self, Out *out, PyObject *value, int depth)
{
    Py_ssize_t count = PyList_GET_SIZE(value);
    return put_head(out, count, 0x90, 0xDC) < 0 ? -1 : put_items(self, out, value, count, depth);
}

static int
put_dict(Packer *self, Out *out, PyObject *value, int depth)
{
    Py_ssize_t count = PyDict_GET_SIZE(value), position = 0;
    PyObject *key;
    int scalar = 1;
    while (scalar && PyDict_Next(value, &position, &key, NULL))
        scalar = is_scalar_key(key);
    if (scalar)
        return put_head(out, count, 0x80, 0xDE) < 0 ? -1 : put_pairs(self, out, value, count, depth);
    if (put_head(out, 1 + 2 * count, 0x90, 0xDC) < 0 || put_ext(out, PAIRS, "", 0) < 0)
        return -1;
    return put_pairs(self, out, value, count, depth);
}

static int
put_tagged_items(Packer *self, Out *out, PyObject *value, int code, int depth)
{
    Py_ssize_t count = PyObject_Length(value);
    if (count < 0 || put_head(out, 1 + count, 0x90, 0xDC) < 0 || put_ext(out, code, "", 0) < 0)
        return -1;
    return put_items(self, out, value, count, depth);
}

static int
put_tagged(Packer *self, Out *out, PyObject *tagged, int depth)
{
    long code = PyLong_AsLong(PyTuple_GET_ITEM(tagged, 0));
    PyObject *payload = PyTuple_GET_ITEM(tagged, 1), *head = PyTuple_GET_ITEM(tagged, 2);
    PyObject *body = PyTuple_GET_ITEM(tagged, 3);
    if (code < 0 || code > 127 || !PyBytes_Check(payload) || !PyTuple_Check(head)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "Tagged(code, payload, head, body)");
        return -1;
    }
    Py_ssize_t count = PyObject_Length(body);
    if (count < 0)
        return -1;
    Py_ssize_t all = 1 + PyTuple_GET_SIZE(head) + (PyDict_Check(body) ? 2 * count : count);
    if (put_head(out, all, 0x90, 0xDC) < 0
        || put_ext(out, (int)code, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)) < 0)
        return -1;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(head); index++)
        if (put(self, out, PyTuple_GET_ITEM(head, index), depth + 1) < 0)
            return -1;
    return PyDict_Check(body) ? put_pairs(self, out, body, count, depth) : put_items(self, out, body, count, depth);
}

static int
put_builtin(Packer *self, Out *out, PyObject *value, int depth)
{
    if (PyList_Check(value))
        return put_list(self, out, value, depth);
    if (PyDict_Check(value))
        return put_dict(self, out, value, depth);
    if (PyTuple_Check(value))
        return put_tagged_items(self, out, value, TUPLE, depth);
    if (PyAnySet_Check(value))
        return put_tagged_items(self, out, value, PyFrozenSet_Check(value) ? FROZENSET : SET, depth);
    return fail("a %s is no builtin container", _PyType_Name(Py_TYPE(value)));
}

static int
put_shape(Packer *self, Out *out, PyObject *value, PyObject *shape, int depth)
{
    if (PyLong_CheckExact(shape)) {
        unsigned long long oid = PyLong_AsUnsignedLongLong(shape);
        if (oid == (unsigned long long)-1 && PyErr_Occurred())
            return -1;
        return put_ref(out, oid);
    }
    if (Py_IS_TYPE(shape, (PyTypeObject *)ext_type)) {
        PyObject *payload = PyTuple_GET_ITEM(shape, 1);
        long code = PyLong_AsLong(PyTuple_GET_ITEM(shape, 0));
        if (code < 0 || code > 127 || !PyBytes_Check(payload)) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "Ext(code, payload)");
            return -1;
        }
        return put_ext(out, (int)code, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload));
    }
    if (Py_IS_TYPE(shape, (PyTypeObject *)tagged_type))
        return put_tagged(self, out, shape, depth);
    if (shape == as_builtin)
        return put_builtin(self, out, value, depth);
    return fail("a %s cannot be saved", _PyType_Name(Py_TYPE(value)));
}

/* A durable object that is met for the first time: it is found, and its number is its place. */
static int
give_number(Packer *self, PyObject *key, PyObject *value)
{
    if (PyList_Append(self->found, value) < 0)
        return -1;
    PyObject *oid = PyLong_FromSsize_t(PyList_GET_SIZE(self->found));
    int result = oid == NULL ? -1 : PyDict_SetItem(self->numbers, key, oid);
    Py_XDECREF(oid);
    return result;
}

/* 1: written as a reference or inline without the hook; 0: not; -1: error. */
static int
put_known(Packer *self, Out *out, PyObject *value, int depth)
{
    PyTypeObject *type = Py_TYPE(value);
    if (self->embeds && (type == tracked_list_type || type == tracked_dict_type)) {
        Py_ssize_t size = type == tracked_list_type ? PyList_GET_SIZE(value) : PyDict_GET_SIZE(value);
        if (size > embedded_limit)
            return 0;
        PyObject *row = PyObject_GetAttr(value, name_row);
        PyObject *slots = row == NULL ? NULL : PyObject_GetAttr(value, name_slots);
        if (slots == NULL) {
            Py_XDECREF(row);
            return -1;
        }
        int embedded = row == Py_None && PyLong_CheckExact(slots) && PyLong_AsLong(slots) <= 1;
        Py_DECREF(row);
        Py_DECREF(slots);
        if (!embedded)
            return 0;
        return put_builtin(self, out, value, depth) < 0 ? -1 : 1;
    }
    if (self->numbers != NULL && durable_type != NULL && PyObject_TypeCheck(value, durable_type)) {
        PyObject *key = PyLong_FromVoidPtr(value);
        if (key == NULL)
            return -1;
        PyObject *oid = PyDict_GetItemWithError(self->numbers, key); /* borrowed */
        int result = oid == NULL && (PyErr_Occurred() || give_number(self, key, value) < 0) ? -1 : 1;
        if (result == 1 && oid == NULL)
            oid = PyDict_GetItemWithError(self->numbers, key);
        if (result == 1 && (oid == NULL || put_shape(self, out, value, oid, depth) < 0))
            result = -1;
        Py_DECREF(key);
        return result;
    }
    return 0;
}

static int
put(Packer *self, Out *out, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value))
        return put_text(out, value);
    if (PyLong_CheckExact(value))
        return put_int(out, value);
    if (value == Py_None)
        return out_number(out, 0xC0, 0, 0);
    if (PyBool_Check(value))
        return out_number(out, value == Py_True ? 0xC3 : 0xC2, 0, 0);
    if (PyFloat_CheckExact(value)) {
        if (out_need(out, 9) < 0)
            return -1;
        out->data[out->size++] = (char)0xCB;
        if (PyFloat_Pack8(PyFloat_AS_DOUBLE(value), out->data + out->size, 0) < 0)
            return -1;
        out->size += 8;
        return 0;
    }
    if (PyBytes_CheckExact(value)) {
        if (put_size(out, 0xC4, PyBytes_GET_SIZE(value)) < 0)
            return -1;
        return out_copy(out, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    }
    if (depth >= MAX_DEPTH)
        return fail("nested more than %d levels deep", MAX_DEPTH);
    if (PyList_CheckExact(value) || PyDict_CheckExact(value) || PyTuple_CheckExact(value)
        || PyAnySet_CheckExact(value))
        return put_builtin(self, out, value, depth);
    int known = put_known(self, out, value, depth);
    if (known)
        return known < 0 ? -1 : 0;
    PyObject *shape = PyObject_CallOneArg(self->hook, value);
    if (shape == NULL)
        return -1;
    int result = put_shape(self, out, value, shape, depth);
    Py_DECREF(shape);
    return result;
}

#endif
