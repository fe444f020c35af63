/* Pouring: entries of a big dict, and operations on it, go from bytes straight into it.
 *
 * Included once, by _codec.c.  Only keys that hash without code of an application are
 * put in here; from the first other one on, all is returned for Python to put in, so
 * that the order stays.  Where the bytes are anything but what a writer makes, all is
 * left to unpack() and to Python, which has the words for it.
 */
#ifndef TAPHOUSE_POURING_H
#define TAPHOUSE_POURING_H

static inline void
look_at(Unpacker *self, PyObject *value)
{
    if (!is_scalar_key(value))
        self->has_parts = 1;
}

/* The number of items of the array at the front of in, or -1 if there is no array. */
static Py_ssize_t
front_array(In *in)
{
    int code = in->size ? in->data[0] : 0;
    Py_ssize_t count = -1;
    in->at = 1;
    if (code >= 0x90 && code < 0xA0)
        count = code & 0x0F;
    else if ((code == 0xDC || code == 0xDD) && in->size > 2 << (code - 0xDC))
        (void)take_number(in, 2 << (code - 0xDC), &count);
    if (count <= 0 || count > in->size - in->at || is_tag_next(in))
        return -1;
    return count;
}

/* Append the next count items to rest. */
static int
get_rest(In *in, PyObject *rest, Py_ssize_t count)
{
    for (; count > 0; count--) {
        in->owed--;
        PyObject *item = get(in, 1);
        int result = item == NULL ? -1 : PyList_Append(rest, item);
        Py_XDECREF(item);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* None, or rest; nothing may be left of the bytes. */
static PyObject *
finish_pouring(In *in, PyObject *rest, int result)
{
    if (result == 0 && in->at != in->size) {
        refuse("%zd bytes too many", in->size - in->at);
        result = -1;
    }
    if (result < 0) {
        Py_XDECREF(rest);
        return NULL;
    }
    return rest == NULL ? Py_NewRef(Py_None) : rest;
}

/* pour(made, data) -> entries that were not put in, or None */
static PyObject *
unpacker_pour(Unpacker *self, PyObject *const *args, Py_ssize_t given)
{
    if (given != 2 || !PyDict_Check(args[0]) || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "pour(dict, bytes)");
        return NULL;
    }
    PyObject *made = args[0], *rest = NULL;
    In in = {self, (const uint8_t *)PyBytes_AS_STRING(args[1]), PyBytes_GET_SIZE(args[1]), 0, 0};
    Py_ssize_t count = front_array(&in), before = PyDict_GET_SIZE(made);
    if (count < 0 || count % 2) {
        self->has_parts = 1;
        return unpacker_unpack(self, args[1]);
    }
    in.owed = count;
    for (Py_ssize_t left = count; left > 0; left -= 2) {
        in.owed--;
        PyObject *key = get(&in, 1);
        if (key == NULL)
            return NULL;
        if (!is_scalar_key(key)) {
            rest = PyList_New(0);
            int result = rest == NULL ? -1 : PyList_Append(rest, key);
            Py_DECREF(key);
            self->has_parts = 1;
            count -= left;
            if (result == 0)
                result = get_rest(&in, rest, left - 1);
            if (result < 0)
                return finish_pouring(&in, rest, -1);
            break;
        }
        in.owed--;
        PyObject *value = get(&in, 1);
        if (value != NULL)
            look_at(self, value);
        int result = value == NULL ? -1 : PyDict_SetItem(made, key, value);
        Py_DECREF(key);
        Py_XDECREF(value);
        if (result < 0)
            return NULL;
    }
    if (PyDict_GET_SIZE(made) - before != count / 2) {
        refuse("a dict with the same key twice");
        return finish_pouring(&in, rest, -1);
    }
    return finish_pouring(&in, rest, 0);
}

/* Do ["s", key, value] or ["d", key].  1: done; 0: *op is an operation for Python; -1: error. */
static int
operate_pair(In *in, PyObject *made, PyObject **op)
{
    const uint8_t *data = in->data + in->at;
    int sets = in->size - in->at > 3 && data[0] == 0x93 && data[1] == 0xA1 && data[2] == 's';
    int deletes = in->size - in->at > 3 && data[0] == 0x92 && data[1] == 0xA1 && data[2] == 'd';
    PyObject *key, *value = NULL;
    *op = NULL;
    in->owed--;
    if (!sets && !deletes)
        return (*op = get(in, 1)) == NULL ? -1 : 0;
    in->at++;
    if (owe(in, sets ? 3 : 2, 1) < 0)
        return -1;
    in->at += 2;
    in->owed -= 2;
    if ((key = get(in, 2)) == NULL)
        return -1;
    if (sets) {
        in->owed--;
        if ((value = get(in, 2)) == NULL) {
            Py_DECREF(key);
            return -1;
        }
        look_at(in->unpacker, value);
    }
    int done = 1;
    if (!is_scalar_key(key)) {
        *op = sets ? Py_BuildValue("[sOO]", "s", key, value) : Py_BuildValue("[sO]", "d", key);
        done = *op == NULL ? -1 : 0;
    }
    else if (sets)
        done = PyDict_SetItem(made, key, value) < 0 ? -1 : 1;
    else if (PyDict_DelItem(made, key) < 0) {
        if (PyErr_ExceptionMatches(PyExc_KeyError)) {
            PyErr_Clear();
            refuse("an operation 'd' that cannot be done");
        }
        done = -1;
    }
    Py_DECREF(key);
    Py_XDECREF(value);
    return done;
}

/* operate(made, data) -> operations that were not done, or None */
static PyObject *
unpacker_operate(Unpacker *self, PyObject *const *args, Py_ssize_t given)
{
    if (given != 2 || !PyDict_Check(args[0]) || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "operate(dict, bytes)");
        return NULL;
    }
    In in = {self, (const uint8_t *)PyBytes_AS_STRING(args[1]), PyBytes_GET_SIZE(args[1]), 0, 0};
    Py_ssize_t count = front_array(&in);
    if (count < 0) {
        self->has_parts = 1;
        return unpacker_unpack(self, args[1]);
    }
    in.owed = count;
    for (; count > 0; count--) {
        PyObject *op;
        int done = operate_pair(&in, args[0], &op);
        if (done < 0)
            return NULL;
        if (done == 0) {
            PyObject *rest = PyList_New(0);
            int result = rest == NULL ? -1 : PyList_Append(rest, op);
            Py_DECREF(op);
            self->has_parts = 1;
            if (result == 0)
                result = get_rest(&in, rest, count - 1);
            return finish_pouring(&in, rest, result);
        }
    }
    return finish_pouring(&in, NULL, 0);
}

#endif
