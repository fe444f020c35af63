/* The common changes of each kind of container.  Included once, by _tracker.c. */
#ifndef TAPHOUSE_CHANGES_H
#define TAPHOUSE_CHANGES_H

/* ---- dict, defaultdict, Counter ---------------------------------------- */

/* Set or (value NULL) delete.  1: done; 0: not for here; -1: error. */
static int
change_pair(PyObject *self, PyObject *key, PyObject *value)
{
    const Kind *kind = quick_kind(self);
    if (kind == NULL || !is_plain_key(key) || (value != NULL && !is_quick(value)))
        return 0;
    PyObject *old = PyDict_GetItemWithError(self, key); /* borrowed */
    if (old == NULL && (value == NULL || PyErr_Occurred()))
        return PyErr_Occurred() ? -1 : 0;
    int held = old == NULL ? 0 : is_held(old);
    if (held)
        return held < 0 ? -1 : 0;
    Row *own;
    int done = touch_quickly(kind, self, &own);
    if (done <= 0)
        return done;
    if (value == NULL) {
        if (PyDict_DelItem(self, key) < 0)
            return -1;
        if (is_noting(own))
            note(own, PyTuple_Pack(2, op_delete, key));
    }
    else {
        if (PyDict_SetItem(self, key, value) < 0)
            return -1;
        if (is_noting(own))
            note(own, PyTuple_Pack(3, op_set, key, value));
    }
    return 1;
}

/* Finish a slot: what was not done quickly, slowly. */
static int
finish_slot(int done, PyObject *self, PyObject *key, PyObject *value)
{
    if (done)
        return done < 0 ? -1 : 0;
    PyObject *args[2] = {key, value};
    PyObject *result = call_slow(self, value == NULL ? DELITEM : SETITEM, args, value == NULL ? 1 : 2);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
dict_change(PyObject *self, PyObject *key, PyObject *value)
{
    return finish_slot(change_pair(self, key, value), self, key, value);
}

static PyObject *
dict_pop(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if ((count == 1 || count == 2) && is_plain_key(args[0]) && quick_kind(self) != NULL) {
        PyObject *old = PyDict_GetItemWithError(self, args[0]); /* borrowed */
        if (old == NULL && PyErr_Occurred())
            return NULL;
        if (old == NULL && count == 2)
            return Py_NewRef(args[1]);
        if (old != NULL) {
            Py_INCREF(old);
            int done = change_pair(self, args[0], NULL);
            if (done > 0)
                return old;
            Py_DECREF(old);
            if (done < 0)
                return NULL;
        }
    }
    return call_slow(self, POP, args, count);
}

static PyObject *
dict_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if ((count == 1 || count == 2) && is_plain_key(args[0])) {
        PyObject *value = count == 2 ? args[1] : Py_None;
        PyObject *old = PyDict_GetItemWithError(self, args[0]); /* borrowed */
        if (old != NULL)
            return Py_NewRef(old);
        int done = PyErr_Occurred() ? -1 : change_pair(self, args[0], value);
        if (done)
            return done < 0 ? NULL : Py_NewRef(value);
    }
    return call_slow(self, SETDEFAULT, args, count);
}

/* ---- list -------------------------------------------------------------- */

/* Replace or (value NULL) delete the item at index.  1: done, *old is what was there if it is wanted. */
static int
change_item(PyObject *self, PyObject *index, PyObject *value, PyObject **old)
{
    const Kind *kind = quick_kind(self);
    if (kind == NULL || (index != NULL && !PyLong_CheckExact(index)) || (value != NULL && !is_quick(value)))
        return 0;
    Py_ssize_t size = PyList_GET_SIZE(self), at = index == NULL ? -1 : PyLong_AsSsize_t(index);
    if (at == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    at += at < 0 ? size : 0;
    if (at < 0 || at >= size)
        return 0; /* the Python method knows the words */
    int held = is_held(PyList_GET_ITEM(self, at));
    if (held)
        return held < 0 ? -1 : 0;
    Row *own;
    int done = touch_quickly(kind, self, &own);
    if (done <= 0)
        return done;
    PyObject *gone = Py_NewRef(PyList_GET_ITEM(self, at));
    done = value == NULL ? PyList_SetSlice(self, at, at + 1, NULL) : PyList_SetItem(self, at, Py_NewRef(value));
    if (done < 0 || old == NULL)
        Py_DECREF(gone);
    else
        *old = gone;
    if (done < 0)
        return -1;
    note_splice(own, at, at + 1, value);
    return 1;
}

static int
list_change(PyObject *self, PyObject *index, PyObject *value)
{
    return finish_slot(change_item(self, index, value, NULL), self, index, value);
}

static PyObject *
list_pop(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *old = NULL;
    int done = count > 1 ? 0 : change_item(self, count ? args[0] : NULL, NULL, &old);
    return done < 0 ? NULL : done ? old : call_slow(self, POP, args, count);
}

static PyObject *
list_append(PyObject *self, PyObject *value)
{
    const Kind *kind = is_quick(value) ? quick_kind(self) : NULL;
    Row *own;
    int done = kind == NULL ? 0 : touch_quickly(kind, self, &own);
    if (done <= 0)
        return done < 0 ? NULL : call_slow(self, APPEND, &value, 1);
    Py_ssize_t size = PyList_GET_SIZE(self);
    if (PyList_Append(self, value) < 0)
        return NULL;
    note_splice(own, size, size, value);
    Py_RETURN_NONE;
}

/* ---- set --------------------------------------------------------------- */

static PyObject *
change_set(PyObject *self, PyObject *value, int method)
{
    const Kind *kind = is_plain_key(value) ? quick_kind(self) : NULL;
    Row *own;
    int done = 0;
    if (kind != NULL) {
        int found = PySet_Contains(self, value);
        if (found == (method == ADD))
            Py_RETURN_NONE;
        done = found < 0 ? -1 : touch_quickly(kind, self, &own);
    }
    if (done <= 0)
        return done < 0 ? NULL : call_slow(self, method, &value, 1);
    if ((method == ADD ? PySet_Add(self, value) : PySet_Discard(self, value)) < 0)
        return NULL;
    if (is_noting(own))
        note(own, PyTuple_Pack(2, method == ADD ? op_add : op_remove, value));
    Py_RETURN_NONE;
}

static PyObject *
set_add(PyObject *self, PyObject *value)
{
    return change_set(self, value, ADD);
}

static PyObject *
set_discard(PyObject *self, PyObject *value)
{
    return change_set(self, value, DISCARD);
}

/* ---- deque ------------------------------------------------------------- */

static PyObject *
deque_put(PyObject *self, PyObject *value, int method)
{
    const Kind *kind = is_quick(value) ? quick_kind(self) : NULL;
    Row *own = NULL;
    int done = 0;
    Py_ssize_t size = 0;
    if (kind != NULL) {
        PyObject *longest = PyObject_GetAttr(self, name_maxlen);
        if (longest == NULL || (size = PyObject_Size(self)) < 0)
            done = -1;
        else
            done = longest == Py_None ? touch_quickly(kind, self, &own) : 0;
        Py_XDECREF(longest);
    }
    if (done <= 0)
        return done < 0 ? NULL : call_slow(self, method, &value, 1);
    PyObject *args[2] = {self, value};
    PyObject *result = PyObject_Vectorcall(deque_methods[method], args, 2, NULL);
    if (result != NULL)
        note_splice(own, method == APPEND ? size : 0, method == APPEND ? size : 0, value);
    return result;
}

static PyObject *
deque_take(PyObject *self, int method)
{
    const Kind *kind = quick_kind(self);
    Row *own = NULL;
    int done = 0;
    Py_ssize_t size = kind == NULL ? 0 : PyObject_Size(self);
    if (size < 0)
        return NULL;
    if (size) {
        PyObject *old = PySequence_GetItem(self, method == POP ? size - 1 : 0);
        int held = old == NULL ? -1 : is_held(old);
        Py_XDECREF(old);
        done = held ? (held < 0 ? -1 : 0) : touch_quickly(kind, self, &own);
    }
    if (done <= 0)
        return done < 0 ? NULL : call_slow(self, method, NULL, 0);
    PyObject *result = PyObject_Vectorcall(deque_methods[method], &self, 1, NULL);
    if (result != NULL)
        note_splice(own, method == POP ? size - 1 : 0, method == POP ? size : 1, NULL);
    return result;
}

static PyObject *
deque_append(PyObject *self, PyObject *value)
{
    return deque_put(self, value, APPEND);
}

static PyObject *
deque_appendleft(PyObject *self, PyObject *value)
{
    return deque_put(self, value, APPENDLEFT);
}

static PyObject *
deque_pop(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    return deque_take(self, POP);
}

static PyObject *
deque_popleft(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    return deque_take(self, POPLEFT);
}

#endif
