/* Quickening: C methods are laid over those of a tracked class.
 *
 * Included once, by _tracker.c.  They are descriptors of the class and no C base, so
 * that both twins have the same classes with the same slots.
 */
#ifndef TAPHOUSE_QUICKENING_H
#define TAPHOUSE_QUICKENING_H

typedef struct {
    int method;
    PyMethodDef def; /* ml_meth NULL: the slot change */
    objobjargproc change;
} Over;

#define FAST(name, function) {name, (PyCFunction)(void (*)(void))function, METH_FASTCALL, NULL}

static Over over_dict[] = {
    {SETITEM, {"__setitem__", NULL, 0, NULL}, dict_change},
    {DELITEM, {"__delitem__", NULL, 0, NULL}, dict_change},
    {POP, FAST("pop", dict_pop), NULL},
    {SETDEFAULT, FAST("setdefault", dict_setdefault), NULL},
    {-1, {NULL, NULL, 0, NULL}, NULL},
};
static Over over_list[] = {
    {SETITEM, {"__setitem__", NULL, 0, NULL}, list_change},
    {DELITEM, {"__delitem__", NULL, 0, NULL}, list_change},
    {POP, FAST("pop", list_pop), NULL},
    {APPEND, {"append", list_append, METH_O, NULL}, NULL},
    {-1, {NULL, NULL, 0, NULL}, NULL},
};
static Over over_set[] = {
    {ADD, {"add", set_add, METH_O, NULL}, NULL},
    {DISCARD, {"discard", set_discard, METH_O, NULL}, NULL},
    {-1, {NULL, NULL, 0, NULL}, NULL},
};
static Over over_deque[] = {
    {APPEND, {"append", deque_append, METH_O, NULL}, NULL},
    {APPENDLEFT, {"appendleft", deque_appendleft, METH_O, NULL}, NULL},
    {POP, {"pop", deque_pop, METH_NOARGS, NULL}, NULL},
    {POPLEFT, {"popleft", deque_popleft, METH_NOARGS, NULL}, NULL},
    {-1, {NULL, NULL, 0, NULL}, NULL},
};

static int
prepare_names(PyTypeObject *deque)
{
    if (deque_methods[APPEND] != NULL)
        return 0;
    const struct { PyObject **place; const char *text; } names[] = {
        {&name_token, "token"}, {&name_maxlen, "maxlen"}, {&op_set, "s"}, {&op_delete, "d"},
        {&op_splice, "p"}, {&op_add, "a"}, {&op_remove, "x"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (*names[i].place == NULL && (*names[i].place = PyUnicode_InternFromString(names[i].text)) == NULL)
            return -1;
    for (const Over *over = over_deque + 3; over >= over_deque; over--) /* append last: it says that all are there */
        if ((deque_methods[over->method] = PyObject_GetAttrString((PyObject *)deque, over->def.ml_name)) == NULL)
            return -1;
    return 0;
}

/* Lay one method over that of type; what was there is kept for the slow way. */
static int
lay_over(PyTypeObject *type, Over *over, PyObject *base, PyObject **slow)
{
    const char *name = over->def.ml_name;
    if ((*slow = PyObject_GetAttrString((PyObject *)type, name)) == NULL)
        return -1;
    PyObject *descriptor;
    if (over->change != NULL) {
        /* The wrapper of the plain type names the slot: with it, the slot itself is set to our function. */
        PyObject *wrapper = PyObject_GetAttrString(base, name);
        if (wrapper == NULL || !Py_IS_TYPE(wrapper, &PyWrapperDescr_Type)) {
            Py_XDECREF(wrapper);
            PyErr_Format(PyExc_TypeError, "%s is no slot", name);
            return -1;
        }
        descriptor = PyDescr_NewWrapper(type, ((PyWrapperDescrObject *)wrapper)->d_base, (void *)over->change);
        Py_DECREF(wrapper);
    }
    else
        descriptor = PyDescr_NewMethod(type, &over->def);
    if (descriptor == NULL)
        return -1;
    int result = PyObject_SetAttrString((PyObject *)type, name, descriptor);
    Py_DECREF(descriptor);
    return result;
}

/* quicken(cls): lay C methods over the common changes of a tracked class */
static PyObject *
quicken(PyObject *Py_UNUSED(module), PyObject *op)
{
    PyObject *collections = PyImport_ImportModule("collections");
    PyObject *deque = collections == NULL ? NULL : PyObject_GetAttrString(collections, "deque");
    Py_XDECREF(collections);
    if (deque == NULL || prepare_names((PyTypeObject *)deque) < 0) {
        Py_XDECREF(deque);
        return NULL;
    }
    Over *over = NULL;
    PyObject *base = NULL;
    if (PyType_Check(op) && kind_of((PyTypeObject *)op) == NULL) {
        const struct { PyObject *base; Over *over; } all[] = {
            {(PyObject *)&PyDict_Type, over_dict}, {(PyObject *)&PyList_Type, over_list},
            {(PyObject *)&PySet_Type, over_set}, {deque, over_deque},
        };
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
            if (PyType_IsSubtype((PyTypeObject *)op, (PyTypeObject *)all[i].base)) {
                base = all[i].base;
                over = all[i].over;
            }
    }
    Py_DECREF(deque); /* its module keeps it */
    Kind *more = over == NULL ? NULL : PyMem_Realloc(kinds, (size_t)(kind_count + 1) * sizeof(Kind));
    if (more == NULL) {
        PyErr_SetString(PyExc_TypeError, "quicken(class of dicts, lists, sets or deques, once)");
        return NULL;
    }
    kinds = more;
    Kind *kind = &kinds[kind_count];
    memset(kind, 0, sizeof(Kind));
    kind->type = (PyTypeObject *)Py_NewRef(op);
    kind->has_slots = find_layout(&kind->layout, kind->type, (PyTypeObject *)base) == 0;
    PyErr_Clear();
    for (; over->method >= 0; over++)
        if (lay_over(kind->type, over, base, &kind->slow[over->method]) < 0)
            return NULL;
    kind_count++;
    Py_RETURN_NONE;
}

#endif
