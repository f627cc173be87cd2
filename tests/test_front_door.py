"""`import matinee as mt`: the names it has, and what it answers to calls that are nearly right."""

import pickle
import re
import subprocess
import sys
from datetime import date

import polars
import pytest

import matinee as mt
from matinee.config import Rerank
from matinee.data.synthetic import two_groups
from matinee.models import MODELS, model_class
from matinee.store.artefact import Artefact


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> dict[str, object]:
    data = two_groups(60, 30)
    split = mt.split(data, "random", seed=3)
    ease = mt.fit("ease", split)
    folder = tmp_path_factory.mktemp("artefact") / "ease"
    mt.save_artefact(ease, folder)
    used = mt.fit("ease", split)
    mt.recommend(used, history=[0])
    modules = {"date": date, "pickle": pickle, "polars": polars, "Rerank": Rerank}
    return {"mt": mt, "data": data, "split": split, "ease": ease, "folder": folder, "used": used, **modules}


def test_every_public_name_is_there_and_in_dir():
    for name in (*mt.__all__, *mt.FUNCTIONS):
        assert getattr(mt, name) is not None
        assert name in dir(mt)
    assert [name for name in dir(mt) if name.startswith("_")] == ["__version__"]


def test_every_model_has_its_class():
    for name in MODELS:
        kind = getattr(mt, model_class(name).__name__)
        assert kind.name == name
        assert kind.__name__ in dir(mt)
    assert repr(mt.EASE(l2=200)) == "EASE(l2=200.0)"
    assert mt.models()["model"].to_list()[: len(MODELS)] == list(MODELS)
    for table in (mt.models(), *map(mt.models, MODELS)):
        assert len(repr(table)) <= 2_000
        assert table._repr_html_().count("<tr>") == len(table) + 1
    assert "weigh more in each other&#x27;s scores" in mt.models("ease")._repr_html_()


def test_a_star_import_gives_the_functions():
    code = "from matinee import *; assert callable(fit) and callable(models) and __version__"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("call", "same"),
    [
        ("mt.evaluate(ease, split, k=10, samples=100)", "mt.evaluate(ease, split, k=(10,), samples=100)"),
        ("mt.evaluate('ease', split, k=5, samples=100)", "mt.evaluate(ease, split, k=5, samples=100)"),
        ("mt.evaluate(mt.EASE(), split, k=5, samples=100)", "mt.evaluate(ease, split, k=5, samples=100)"),
        ("mt.evaluate(mt.EASE, split, k=5, samples=100)", "mt.evaluate(ease, split, k=5, samples=100)"),
        ("mt.evaluate(folder, split, k=5, samples=100)", "mt.evaluate(ease, split, k=5, samples=100)"),
        ("mt.evaluate(str(folder), split, k=5, samples=100)", "mt.evaluate(ease, split, k=5, samples=100)"),
        ("mt.recommend(ease, 'Movie 0 (2000)')", "mt.recommend(ease, liked=['Movie 0 (2000)'])"),
        ("mt.recommend(folder, liked='Movie 0 (2000)')", "mt.recommend(ease, liked=['Movie 0 (2000)'])"),
        ("mt.recommend(ease, history=(each for each in (0, 2)))", "mt.recommend(ease, history=[0, 2])"),
        ("mt.recommend(ease, history=split.data.items.ids[:2])", "mt.recommend(ease, history=[0, 1])"),
        ("mt.similar(ease, 'Movie 0 (2000)')", "mt.similar(ease, title='Movie 0 (2000)')"),
        ("mt.recommend_all(folder, k=2).to_dicts()", "mt.recommend_all(ease, k=2).to_dicts()"),
        ("mt.fit(mt.EASE(l2=7), split).version[:0]", "mt.fit('ease', split, l2=7).version[:0]"),
        ("repr(mt.fit(mt.EASE(l2=7), split, dropout=.1).model)", "repr(mt.EASE(l2=7, dropout=.1))"),
        ("len(data)", "len(data.to_frame())"),
        ("len(split)", "len(split.to_frame())"),
        ("data['user'].to_list()", "data.to_frame()['user'].to_list()"),
        ("split['part'].to_list()", "split.to_frame()['part'].to_list()"),
        ("mt.models('ease')['setting'].to_list()", "list(mt.EASE.Config.model_fields)"),
        (
            "list(mt.evaluate(ease, split, k=5, samples=100))",
            "list(mt.evaluate(ease, split, k=5, samples=100).metrics)",
        ),
        ("mt.compare([ease], split, k=10)['ease'].label", "mt.compare([ease], split, k=10)[0].label"),
        ("mt.events([{'user': 1, 'item': 2}]).fingerprint", "mt.events({'user': [1], 'item': [2]}).fingerprint"),
        (
            "mt.recommend(ease, history=[0], rerank='novelty=0.5')",
            "mt.recommend(ease, history=[0], rerank=Rerank(novelty=0.5))",
        ),
        (
            "mt.recommend(ease, history=[0], rerank={'novelty': 0.5})",
            "mt.recommend(ease, history=[0], rerank=Rerank(novelty=0.5))",
        ),
        (
            "mt.recommend_all(ease, k=2, rerank={'novelty': 0.5}).to_dicts()",
            "mt.recommend_all(ease, k=2, rerank=Rerank(novelty=0.5)).to_dicts()",
        ),
        ("mt.models(mt.EASE).to_dicts()", "mt.models('ease').to_dicts()"),
        ("mt.models(mt.EASE(l2=2)).to_dicts()", "mt.models('ease').to_dicts()"),
        ("mt.keep(data, since=date(2000, 1, 2)).fingerprint", "mt.keep(data, since='2000-01-02').fingerprint"),
        ("polars.DataFrame(data).to_dicts()", "data.to_frame().to_dicts()"),
        ("mt.recommend(pickle.loads(pickle.dumps(used)), history=[0])", "mt.recommend(used, history=[0])"),
    ],
)
def test_what_is_clear_is_taken(known, call, same):
    assert _plain(eval(call, known)) == _plain(eval(same, known))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("mt.evaluate(ease, data)", "takes a split, .*, not the data set two-groups; write mt.evaluate(model, mt.spl"),
        ("mt.evaluate(ease, None)", "takes a split, .*, not nothing; write mt.evaluate(model, mt.split(data, 'rand"),
        ("mt.compare('ease', split)", "a list of models; write mt.compare([one, other], split)"),
        ("mt.compare(ease, split)", "a list of models; write mt.compare([one, other], split)"),
        ("mt.compare(['ease', 'eas'], split)", "no model 'eas'; did you mean 'ease'?"),
        ("mt.compare(['ease', 'popularity'], split, seeds=3)", "write seed=3"),
        ("mt.recommend('ease', 'Alien')", "ease is not fitted on any data; write mt.recommend(mt.fit('ease', data)"),
        ("mt.recommend(mt.EASE(), 'Alien')", "ease is not fitted on any data; write mt.recommend(mt.fit('ease', da"),
        ("mt.recommend(None, 'Alien')", "takes a fitted model, not nothing; write mt.recommend(mt.fit('ease', data)"),
        ("mt.recommend('models/none', 'Alien')", "no artefact at models/none"),
        ("mt.recommend(ease, 1)", "liked is titles, not 1; write history=[...] for ids"),
        ("mt.recommend(ease, [1, 2])", "liked is titles, not 1; write history=[...] for ids"),
        ("mt.recommend(ease, history=1)", "history is a list of ids; write history=[1]"),
        ("mt.recommend(ease, history='1')", "history is a list of ids; write history=['1']"),
        ("mt.recommend(ease)", "give one of user, history or liked"),
        ("mt.similar(ease, 1)", "title is text, not 1; for an id write item=1"),
        ("mt.counterfactual(ease, title=1, user=1)", "title is text, not 1; for an id write item=1"),
        ("mt.fit('ease', 'bundled')", "takes a data set or a split, not a str; write mt.fit('ease', mt.load('bundled"),
        ("mt.fit('ease', [1, 2])", "fit takes a data set or a split, not a list"),
        (
            "mt.fit(mt.EASE, None)",
            "fit takes a data set or a split, not nothing; write mt.fit('ease', mt.load('bundled",
        ),
        ("mt.fit('eas', split)", "no model 'eas'; did you mean 'ease'?"),
        ("mt.train('ease', split)", "module 'matinee' has no attribute 'train'; write mt.fit('ease', split)"),
        ("mt.predict", "no attribute 'predict'; write mt.recommend(model, liked="),
        ("mt.comparee", "no attribute 'comparee'; did you mean 'compare'?"),
        ("mt.EASY", "no model 'EASY'; did you mean 'EASE'?"),
        ("mt.AlternatingLeastSquares(64)", "no model 'AlternatingLeastSquares'; here it is 'IALS'"),
        ("mt.SVD()", "no model 'SVD'; the nearest here is 'IALS'"),
        ("mt.iALS()", "no model 'iALS'; here it is 'IALS'"),
        ("mt.EASEModel()", "no model 'EASEModel'; here it is 'EASE'"),
        ("mt.Dataset(frame)", "no attribute 'Dataset'; write mt.events(frame"),
        ("mt.run_recbole('BPR')", "no attribute 'run_recbole'; write mt.evaluate('bpr'"),
        ("mt.ndcg_at_k(ease)", "no attribute 'ndcg_at_k'; write mt.evaluate(model, split)['ndcg@10']"),
        ("mt.EASE(l2=7).fit(split)", "ease learns by mt.fit; write model = mt.fit(mt.EASE(l2=7.0), split)"),
        ("mt.IALS(factors=64)", "unknown key 'factors'; here it is 'dim'"),
        ("mt.BPR(lr=.1)", "unknown key 'lr'; here it is 'learning_rate'"),
        ("mt.ItemKNN(K=20)", "unknown key 'K'; here it is 'neighbours'"),
        ("mt.fit('ease', split, random_state=1)", "unknown key 'random_state'; .*: write seed="),
        ("mt.fit(['ease'], split)", "fit takes one model, not several; write [mt.fit(each, split) for each in models]"),
        ("mt.fit(5, split)", "fit takes a model or its name, not a int"),
        ("mt.fit(split)", "fit: 'on' is missing; write mt.fit('ease', split)"),
        ("mt.evaluate(ease)", "evaluate: 'over' is missing; write mt.evaluate(model, split)"),
        ("mt.evaluate(ease, split, 'ndcg')", "k is the lengths of lists, not 'ndcg'; write k=10"),
        ("mt.evaluate(ease, split, metrics=['ndcg'])", "unknown key 'metrics'; a report has every metric"),
        ("mt.evaluate(ease, split, topk=5)", "unknown key 'topk'; here it is 'k'"),
        ("mt.split(data, 'loo')", "split = 'loo' is unknown; here it is 'leave-last'"),
        ("mt.split(data, 0.2)", "the second argument is the method; write mt.split(data, ratios=(0.7, 0.1, 0.2))"),
        ("mt.split(data, ratios=(0.8, 0.2))", "of train, valid and test; write ratios=(0.7, 0.1, 0.2)"),
        ("mt.split(data, stratify=True)", "unknown key 'stratify'; leave it out"),
        ("data['rating']", "data has no column 'rating'; here it is 'value'"),
        ("data['title']", "not 'title' of items; write data.item_table.to_frame()"),
        ("data[0]", "write data.to_frame() for rows"),
        ("list(data)", "write data.to_frame() for rows"),
        ("data.group_by('user')", "write data.to_frame().group_by"),
        ("data.unique()", "'Dataset' object has no attribute 'unique'; write .to_frame().unique"),
        (
            "next(iter(split))",
            "a split is one object, .* write split = mt.split(data), and model = mt.fit('ease', split)",
        ),
        ("split['train']", "'train' is a part, not a column; write split.to_frame().filter"),
        ("split.X_test", "no attribute 'X_test'; write split.to_frame().filter"),
        (
            "mt.events([(1, 2), (1, 3)])",
            "list is not a table; give .* a dict of columns, such as {'user': [1, 1], 'item'",
        ),
        ("mt.events(data)", "Dataset is not a table; .*, such as its .to_frame()"),
        ("mt.load('https://example.org/a.zip')", "load reads no address; download"),
        ("mt.load('bundled', sep=',')", "unknown key 'sep'; leave it out: the file shows it"),
        ("mt.items('items.csv')", "items takes a frame; write mt.load(log, items='items.csv') for a file"),
        ("mt.models('eas')", "no model 'eas'; did you mean 'ease'?"),
        ("mt.models['ease']", "models is a function; write mt.models() for all"),
        ("mt.models(family='linear')", "write mt.models().filter(pl.col('family') == 'linear')"),
        ("mt.models.item_knn", "no attribute 'item_knn'; write mt.ItemKNN"),
        ("mt.EASE(200)", "a model takes its settings by name; write mt.EASE(l2=200)"),
        ("mt.EASE(split)", "a model takes its settings by name; write model = mt.fit('ease', split)"),
        ("mt.EASE().fit(data, verbose=True)", "ease learns by mt.fit; write model = mt.fit(mt.EASE(), split)"),
        ("mt.EASE().recommend(1)", "no attribute 'recommend'; write mt.fit(mt.EASE(), split), then mt.recommend"),
        ("mt.EASE().score(split)", "no attribute 'weights', for it is not fitted; write model = mt.fit(mt.EASE(), spl"),
        ("mt.SVDAE().score(split)", "no attribute '_both', for it is not fitted; write model = mt.fit(mt.SVDAE(), spl"),
        ("mt.SASRec().fold_in(split)", "for it is not fitted; write model = mt.fit(mt.SASRec(), split)"),
        ("mt.EASE().l2", "'EASE' object has no attribute 'l2'; write model.config.l2"),
        ("ease.l2", "'Artefact' object has no attribute 'l2'; write model.model.config.l2"),
        ("ease.fit_seconds", "no attribute 'fit_seconds'; write model.manifest['fit_seconds']"),
        ("mt.fit(split, 'ease')", "fit takes the model first; write mt.fit('ease', split)"),
        ("mt.fit('ease', split, verbose=True)", "unknown key 'verbose'; leave it out: nothing is printed"),
        ("mt.evaluate(split, ease)", "the model comes first; write mt.evaluate(model, split)"),
        ("mt.evaluate(ease, split, k=10.0)", "k is the lengths of lists, not 10.0; write k=10"),
        ("mt.evaluate(ease, split)['hr@10']", "ease was not measured by 'hr@10'; here it is 'hit-rate@10'"),
        ("mt.evaluate(ease, split)['ndcg@10'] > .2", "write report['ndcg@10'].mean for its value, and mt.compare"),
        ("mt.compare(ease, ease)", "compare takes a list of models; write mt.compare([one, other], split)"),
        ("mt.compare([ease], split, k=10)['eas']", "no model 'eas' was compared; did you mean 'ease'?"),
        ("mt.recommend(ease, history=[0], ratings=5)", "one for each id of the history; write ratings=[5]"),
        ("mt.recommend(ease, history={0: 5})", "write history=list(given), ratings=list(given.values())"),
        ("mt.recommend(ease, user=1, filter_seen=True)", "leave it out: lists have nothing of the history"),
        ("mt.recommend(ease, history=[0])['title']", "write movies.to_frame()['title'] for a column"),
        ("mt.save_artefact('x', ease)", "takes the fitted model first; write mt.save_artefact(model, folder)"),
        ("mt.save_artefact(ease)", "save_artefact: 'path' is missing; write mt.save_artefact(model, folder)"),
        ("mt.split(data, test_size=.2)", "unknown key 'test_size'; here it is 'ratios'"),
        ("mt.keep(data, 5)", "keep takes data without a name and no more, but has 2 values; write mt.keep(data, min_"),
        ("mt.recommend(ease, user_id=1)", "recommend: unknown argument 'user_id'; here it is 'user'"),
        ("mt.recommend(ease, user=1, top_k=5)", "recommend: unknown argument 'top_k'; here it is 'k'"),
        ("mt.recommend(ease, user=[1, 2])", "user is one id, not a list; write mt.recommend_all(model, users=[...]"),
        ("mt.recommend(ease, 1, 10)", "recommend takes model, liked without a name and no more, but has 3 values"),
        ("mt.load_artefact(ease)", "load_artefact takes the folder of an artefact, not a Artefact"),
        ("ease.recommend(1)", "'Artefact' object has no attribute 'recommend'; write mt.recommend(model, user=1"),
        ("data.n_users", "'Dataset' object has no attribute 'n_users'; write len(data.users)"),
        ("data.head()", "'Dataset' object has no attribute 'head'; write data.to_frame().head()"),
        ("split.train", "'Split' object has no attribute 'train'; write split.to_frame()"),
        (
            "mt.evaluate(ease, split).ndcg",
            "'Report' object has no attribute 'ndcg'; write report.metrics['ndcg@10'].mean",
        ),
        ("mt.recommend(ease, history=[0], rerank='newness=1')", "list: unknown key 'rerank.newness'"),
        ("mt.recommend_all(ease, users=data)", "users are ids; write users=[...] for one, and leave them out for all"),
        ("mt.synthesize(data)", "users = a Dataset is not a whole number above 0; write users=1000"),
        ("mt.fit('ease', split, seed='a')", "fit: seed = 'a' is not a whole number, 0 or more; write seed=42"),
        ("mt.evaluate(ease, split, seed=-1)", "evaluate: seed = -1 is not a whole number, 0 or more; write seed=42"),
        ("mt.keep(data, seed=None)", "keep: seed = None is not a whole number, 0 or more; write seed=42"),
        (
            "mt.compare({'a': ease}, split)",
            "compare takes a list, which it names itself; write mt.compare(list(models.v",
        ),
        ("mt.models(0)", "models takes the name of one, not a int; write mt.models('ease')"),
        ("mt.KFold(5)", "no attribute 'KFold'; write mt.split(data, 'k-fold', fold=0), once a fold"),
        ("mt.Precision(k=5)", "no attribute 'Precision'; write mt.evaluate(model, split)['precision@10']"),
        ("mt.ImplicitALSWrapperModel()", "no model 'ImplicitALSWrapperModel'; here it is 'IALS'"),
        ("mt.k_core(data)", "write mt.keep(data, min_user_events=5, min_item_events=5, filter_order='fixed-point')"),
        ("mt.keep(data, min_rating=4)", "unknown key 'min_rating'; here it is 'min_value'"),
        ("mt.fit('bpr', split, stopping_step=3)", "unknown key 'stopping_step'; here it is 'patience'"),
        ("mt.tune('ease', split, n_iter=3)", "unknown key 'n_iter'; write trials=20"),
        ("mt.evaluate(ease, split, n_jobs=2)", "evaluation: unknown key 'n_jobs'; known are:"),
        ("ease.transform(data)", "'Artefact' object has no attribute 'transform'; write mt.fit('ease', split)"),
        ("mt.events({'user': [1]}, timestamp='t')", "columns: unknown key 'timestamp'; here it is 'at'"),
        ("mt.evaluate(ease, split)['ndgc@10']", "ease was not measured by 'ndgc@10'; did you mean 'ndcg@10'?"),
    ],
)
def test_what_is_nearly_right_is_answered_in_a_line_with_the_call_that_works(known, call, message):
    with pytest.raises((mt.MatineeError, AttributeError)) as raised:
        eval(call, known)
    text = str(raised.value).replace('"', "'")
    assert re.search(re.escape(message).replace(r"\.\*", ".*"), text), text
    assert "\n" not in text


def test_a_metric_is_a_number_where_one_is_wanted(known):
    found = mt.evaluate(known["ease"], known["split"], k=10, samples=100)["ndcg@10"]
    assert float(found) == found.mean
    assert f"{found:.3f}" == f"{found.mean:.3f}"
    assert round(found, 2) == round(found.mean, 2)
    assert f"{found}" == str(found)


def test_what_is_a_table_is_one_of_pandas_too(known):
    data, split, ease = (known[name] for name in ("data", "split", "ease"))
    report = mt.evaluate(ease, split, k=5, samples=100)
    for table in (data, split, report, mt.audit(data), mt.recommend(ease, history=[0, 2])):
        frame, pandas = table.to_frame(), table.to_pandas()
        assert list(pandas.columns) == frame.columns
        assert pandas.to_dict("list") == frame.to_dict(as_series=False)
    assert report["ndcg@5"] == report.metrics["ndcg@5"]
    assert mt.recommend(ease, history=[0, 2])[0].item_id == frame["item"][0]


def _plain(value: object) -> object:
    """What is compared: without times and folders."""
    if hasattr(value, "metrics"):
        return {name: each.mean for name, each in value.metrics.items()}
    assert not isinstance(value, Artefact)
    return value
