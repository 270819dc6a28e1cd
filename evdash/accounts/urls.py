"""URLs for sign-in, sign-out and the account page."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from evdash.accounts import views

urlpatterns = [
    path(
        "sign-in/",
        LoginView.as_view(
            template_name="accounts/sign_in.html",
            authentication_form=views.SignInForm,
            redirect_authenticated_user=True,
            extra_context={"title": "Sign in"},
        ),
        name="sign-in",
    ),
    path("sign-in/<str:secret>/", views.sign_in_link, name="sign-in-link"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("account/", views.account, name="account"),
]
